//! A configuration file. What is read is printed and read again, and must mean the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_config::{Config, diff};

fuzz_target!(|text: &str| {
    // Variables that secrets may be taken from, so that trunks with passwords are reached.
    let env = || [("CARRIER".to_owned(), "secret".to_owned()), ("HEP".to_owned(), "secret".to_owned())];
    match Config::from_text_with_env(text, env()) {
        Ok(config) => {
            let printed = config.print().replace("password = \"<secret>\"", "password = { env = \"HEP\" }");
            let again = Config::from_text_with_env(&printed, env()).expect("what was printed is a good configuration");
            assert_eq!(diff(&config, &again), []);
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(!error.to_string().is_empty());
            }
        }
    }
});
