//! The server secret: any text is a set of secrets or a message that does not quote it.

#![no_main]

use keywheel::crypto::secret::ServerSecrets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match text.parse::<ServerSecrets>() {
        Ok(secrets) => {
            let slots: Vec<u8> = secrets.slots().collect();
            assert!(slots.contains(&secrets.current_slot()) && slots.iter().all(|slot| *slot <= 15));
            assert!(slots.iter().all(|slot| secrets.derive(*slot, b"", &[b"label"]).is_some()));
        }
        Err(error) => {
            let message = error.to_string();
            // Shorter texts can be words of the message.
            assert!(text.trim().len() < 80 || !message.contains(text.trim()), "{message}");
        }
    }
});
