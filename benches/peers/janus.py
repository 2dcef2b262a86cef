"""Janus with its AudioBridge alone, and rooms of it whose members are plain RTP."""

import json, os, socket, subprocess, time, typing

# The first number of its rooms: smaller ones may be in use.
ROOMS_FROM = 500


class Room(typing.NamedTuple):
    number: int
    handle: int


class Janus:
    """The server, and one session with it."""

    name = "Janus"

    def __init__(self, folder):
        path = folder / "janus.socket"
        (folder / "janus.jcfg").write_text(
            'general: { debug_level = 2, admin_secret = "x" }\n'
            'media: { rtp_port_range = "40000-44000" }\n'
            'transports: { disable = "libjanus_http.so,libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_rabbitmq.so,'
            'libjanus_websockets.so" }\n'
            'plugins: { disable = "libjanus_duktape.so,libjanus_lua.so,libjanus_echotest.so,libjanus_nosip.so,'
            'libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,libjanus_textroom.so,libjanus_videocall.so,'
            'libjanus_videoroom.so,libjanus_voicemail.so" }\n'
        )
        (folder / "janus.transport.pfunix.jcfg").write_text(
            f'general: {{ enabled = true, json = "plain", path = "{path}", type = "SOCK_SEQPACKET" }}\nadmin: {{ }}\n'
        )
        (folder / "janus.plugin.audiobridge.jcfg").write_text('general: { local_ip = "127.0.0.1" }\n')
        command = ["taskset", "-c", str(os.cpu_count() - 1), "janus", "-F", str(folder), "-i", "127.0.0.1"]
        self.process = subprocess.Popen(command, stdout=open(folder / "log", "wb"), stderr=subprocess.STDOUT)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for _ in range(100):
            try:
                self.socket.connect(str(path))
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise SystemExit(f"Janus does not answer: {(folder / 'log').read_text()[-2000:]}")
        self.asked = 0
        self.session = self.ask({"janus": "create"})["data"]["id"]

    def ask(self, request, ends=("success", "event", "error")):
        self.asked += 1
        request["transaction"] = str(self.asked)
        if hasattr(self, "session"):
            request["session_id"] = self.session
        self.socket.send(json.dumps(request).encode())
        while True:
            answer = json.loads(self.socket.recv(1 << 20))
            if answer.get("transaction") == str(self.asked) and answer["janus"] in ends:
                if answer["janus"] == "error":
                    raise SystemExit(f"{request}: {answer}")
                return answer

    def handle(self):
        return self.ask({"janus": "attach", "plugin": "janus.plugin.audiobridge"})["data"]["id"]

    def message(self, handle, body):
        answer = self.ask({"janus": "message", "handle_id": handle, "body": body})["plugindata"]["data"]
        if "error" in answer:
            raise SystemExit(f"{body}: {answer}")
        return answer

    def keep_alive(self):
        self.ask({"janus": "keepalive"}, ends=("ack", "error"))

    def open(self, rate, codec):
        """A room, which `join` takes."""
        room = Room(ROOMS_FROM + rate + len(codec), self.handle())
        create = {"request": "create", "room": room.number, "sampling_rate": rate, "allow_rtp_participants": True}
        self.message(room.handle, create)
        return room

    def join(self, room, number, offer):
        """A member whose RTP is to go to a port here: where Janus wants its own."""
        rtp = {"ip": "127.0.0.1", "port": offer.port, "payload_type": offer.payload_type}
        join = {"request": "join", "room": room.number, "id": number + 1, "codec": offer.codec, "rtp": rtp, "muted": False}
        theirs = self.message(self.handle(), join)["rtp"]
        return theirs["ip"], theirs["port"]

    def close(self, room):
        self.message(room.handle, {"request": "destroy", "room": room.number})

    def end(self):
        self.process.terminate()
        self.process.wait()
