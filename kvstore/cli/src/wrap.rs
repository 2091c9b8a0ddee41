//! Wraps text for a terminal of any width.

/// Breaks lines between words so that they fit. Continuation lines keep the line's indentation. A longer
/// word, such as a path, stays whole.
pub fn wrap(text: &str, columns: usize) -> String {
    text.split('\n').map(|line| wrap_line(line, columns)).collect::<Vec<_>>().join("\n")
}

fn wrap_line(line: &str, columns: usize) -> String {
    if width(line) <= columns {
        return line.to_owned();
    }
    let indent = &line[..line.len() - line.trim_start().len()];
    let mut lines = vec![indent.to_owned()];
    for word in line.trim_start().split(' ') {
        let last = lines.last_mut().expect("there is one at least");
        let is_empty = last.len() == indent.len();
        if is_empty || width(last) + 1 + width(word) <= columns {
            if !is_empty {
                last.push(' ');
            }
            last.push_str(word);
        } else {
            lines.push(format!("{indent}{word}"));
        }
    }
    lines.join("\n")
}

/// The number of columns a text takes. Escape sequences for colours take none.
pub fn width(text: &str) -> usize {
    let mut columns = 0;
    let mut escaped = false;
    for letter in text.chars() {
        match (escaped, letter) {
            (false, '\x1b') => escaped = true,
            (false, _) => columns += 1,
            (true, 'm') => escaped = false,
            (true, _) => {}
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("  one two three\nfour", 10), "  one two\n  three\nfour");
        assert_eq!(wrap("  /a/long/path/indeed and on", 10), "  /a/long/path/indeed\n  and on");
        assert_eq!(wrap("fits", 4), "fits");
        assert_eq!(wrap("", 4), "");
    }

    #[test]
    fn colours_take_no_room() {
        assert_eq!(width("\x1b[1;31mno\x1b[0m"), 2);
        assert_eq!(wrap("\x1b[1mone\x1b[0m two", 7), "\x1b[1mone\x1b[0m two");
    }
}
