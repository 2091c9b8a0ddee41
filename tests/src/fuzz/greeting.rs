//! The first bytes that servers exchange.

use niagara_net::{Greeting, GreetingError, MAX_GREETING_BYTES};

/// **Whatever the bytes, [`Greeting::decode`] says what they are, and what it has understood can be said again:** a Hello and a
/// Welcome in the very same bytes, a Refusal in bytes that mean the same, and never in more than a stranger may send.
///
/// The data is the body of the greeting's frame.
///
/// # Panics
/// When the property does not hold.
pub fn greeting(data: &[u8]) {
    let greeting = match Greeting::decode(data) {
        Ok(greeting) => greeting,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let begins_well = data.starts_with(b"NIAGARA\0") && data.len() > 10;
            assert_eq!(error == GreetingError::NotNiagara, !begins_well, "{error:?}");
            return;
        }
    };
    let bytes = greeting.encode();
    assert!(bytes.len() <= MAX_GREETING_BYTES, "{} bytes", bytes.len());
    let again = Greeting::decode(&bytes).expect("what is encoded can be decoded");
    assert_eq!(again.encode(), bytes);
    match &greeting {
        Greeting::Hello(_) | Greeting::Welcome => {
            assert_eq!(bytes, data);
            assert_eq!(again, greeting);
        }
        Greeting::Refusal(refusal) => {
            assert!(!refusal.to_string().is_empty() || data.len() == 29, "a refusal says why");
            // Only a text that is too long is cut.
            assert!(again == greeting || data.len() > MAX_GREETING_BYTES, "{again:?}, not {greeting:?}");
        }
    }
}
