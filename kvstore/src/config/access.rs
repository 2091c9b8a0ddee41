//! Who may use the server, from the file.

use super::ConfigFileError;
use super::tables::File;
use crate::access::is_origin;
use crate::{AccessConfig, NotASecret};

/// Reads the settings. No error repeats a password.
pub(super) fn config(file: &File) -> Result<AccessConfig, ConfigFileError> {
    let fail = |key: &str, reason: String| ConfigFileError::Value { key: key.into(), reason };
    // As in Redis, an empty one is none.
    let secret = |key: &str, text: &Option<String>| {
        let given = text.as_ref().filter(|text| !text.is_empty());
        given.map(|text| text.parse()).transpose().map_err(|why: NotASecret| fail(key, why.to_string()))
    };
    let password = secret("requirepass", &file.requirepass)?;
    let rescue_password = secret("rescue_password", &file.rescue_password)?;
    let (names, origins) =
        (file.front.names.clone().unwrap_or_default(), file.front.origins.clone().unwrap_or_default());
    if let Some(other) = names.iter().find(|name| !is_name(name)) {
        let reason = format!("\"{other}\" is not a host's name: write it without scheme and port");
        return Err(fail("front.names", reason));
    }
    if let Some(other) = origins.iter().find(|origin| !is_origin(origin)) {
        let reason = format!("\"{other}\" is not an origin, such as \"https://app.example.org\"");
        return Err(fail("front.origins", reason));
    }
    let users_by_certificate = users_by_certificate(file)?;
    Ok(AccessConfig {
        password,
        rescue_password,
        insecure: file.insecure,
        users_by_certificate,
        names,
        origins,
    })
}

/// Whether the certificates of clients name users.
fn users_by_certificate(file: &File) -> Result<bool, ConfigFileError> {
    let Some(tls) = &file.tls else { return Ok(false) };
    let fail =
        |reason: &str| Err(ConfigFileError::Value { key: "tls.client_user".into(), reason: reason.into() });
    match (tls.client_user.as_deref(), &tls.client_ca) {
        (None | Some("off"), _) => Ok(false),
        (Some("CN"), Some(_)) => Ok(true),
        (Some("CN"), None) => {
            fail("clients show certificates only with `client_ca`: name their authority there")
        }
        _ => fail("write \"CN\" or \"off\""),
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}
