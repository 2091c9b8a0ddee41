//! Quotes words of commands that users paste into a shell.

use std::path::Path;

/// A word that a shell takes literally. Quoted only if necessary.
pub fn word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:,=@%+".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// A path that a shell takes literally. One that starts with a dash is never an option.
pub fn path(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.starts_with('-') { word(&format!("./{text}")) } else { word(&text) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_gives_back_what_was_quoted() {
        for text in [
            "plain",
            "",
            "two words",
            "it's",
            "$HOME `id` \\ \"x\"",
            "a;b&c|d>e",
            "*?[a]~#!",
            "tab\tand\nline",
            "\u{e4}",
        ] {
            let echoed =
                Command::new("sh").arg("-c").arg(format!("printf %s {}", word(text))).output().unwrap();
            assert_eq!(String::from_utf8(echoed.stdout).unwrap(), text);
        }
        assert_eq!(word("http://127.0.0.1:7000"), "http://127.0.0.1:7000");
        assert_eq!(path(Path::new("-c/it's")), "'./-c/it'\\''s'");
    }
}
