import sqlite3, hashlib, os
SCHEMA = """
    CREATE TABLE IF NOT EXISTS users (name TEXT NOT NULL, domain TEXT NOT NULL, ha1_md5 BLOB NOT NULL, ha1_sha256 BLOB NOT NULL,
        enabled INTEGER NOT NULL, created INTEGER NOT NULL, changed INTEGER NOT NULL, version INTEGER NOT NULL,
        PRIMARY KEY (name, domain)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS users_version ON users (version);
    CREATE TABLE IF NOT EXISTS users_removed (name TEXT NOT NULL, domain TEXT NOT NULL, version INTEGER NOT NULL,
        PRIMARY KEY (name, domain)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS users_removed_version ON users_removed (version);
    CREATE TABLE IF NOT EXISTS users_state (version INTEGER NOT NULL);
    """
def add(data, user, domain, password):
    db = sqlite3.connect(os.path.join(data, "users.sqlite"))
    db.executescript(SCHEMA)
    if not db.execute("SELECT count(*) FROM users_state").fetchone()[0]:
        db.execute("INSERT INTO users_state VALUES (0)")
    text = f"{user}:{domain}:{password}".encode()
    db.execute("UPDATE users_state SET version = version + 1")
    v = db.execute("SELECT version FROM users_state").fetchone()[0]
    db.execute("INSERT INTO users VALUES (?,?,?,?,1,0,0,?)", (user, domain, hashlib.md5(text).digest(), hashlib.sha256(text).digest(), v))
    db.execute("PRAGMA user_version = 1")
    db.commit(); db.close()
