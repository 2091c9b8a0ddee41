use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn encode(arguments: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Feeds the pieces one after the other and returns all requests, or the error that ended them.
fn feed<'p>(pieces: impl Iterator<Item = &'p [u8]>) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
    let mut parser = Parser::default();
    let mut input = Vec::new();
    let mut requests = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match parser.parse(&input) {
                Ok(None) => break,
                Ok(Some(length)) => {
                    requests.push(parser.arguments(&input).iter().map(<[u8]>::to_vec).collect());
                    input.drain(..length);
                    parser.reset();
                }
                Err(error) => return (requests, Some(error)),
            }
        }
    }
    (requests, None)
}

/// Bytes that look like the protocol, with mistakes.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just(b"*".to_vec()),
        Just(b"$".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"*1\r\n$1\r\nx\r\n".to_vec()),
        Just(b"PING 'a b' \"c\\x41\"\r\n".to_vec()),
        (-2i64..30).prop_map(|number| number.to_string().into_bytes()),
        vec(any::<u8>(), 0..4),
    ];
    vec(token, 0..30).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_requests(
        requests in vec(vec(vec(any::<u8>(), 0..30), 1..6), 1..6),
        step in 1usize..50,
    ) {
        let stream: Vec<u8> = requests.iter().flat_map(|request| encode(request)).collect();
        prop_assert_eq!(feed(stream.chunks(step)), (requests, None));
    }

    #[test]
    fn any_split_of_anything_gives_the_same_outcome(stream in plausible(), step in 1usize..10) {
        prop_assert_eq!(feed(stream.chunks(step)), feed(std::iter::once(stream.as_slice())));
    }

    #[test]
    fn random_bytes_do_no_harm(stream in vec(any::<u8>(), 0..200)) {
        feed(stream.chunks(3));
    }
}

fn words(line: &str) -> Result<Vec<String>, ProtocolError> {
    let request = parse(format!("{line}\r\n").as_bytes())?.expect("the line has an end");
    assert_eq!(request.length, line.len() + 2);
    Ok(request.arguments.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned()).collect())
}

#[test]
fn lines_are_split_like_a_shell_would() {
    assert_eq!(words("  GET\tkey  "), Ok(vec!["GET".into(), "key".into()]));
    assert_eq!(words(r#"SET k "a b\n\x41\"""#).unwrap()[2], "a b\nA\"");
    assert_eq!(words(r"SET k 'it\'s \n'").unwrap()[2], r"it's \n");
    assert_eq!(words("SET k ''").unwrap()[2], "");
    assert_eq!(words(""), Ok(vec![]));
    // As in Redis, these separate words, but do not end one.
    assert_eq!(words("\x0b\x0c GET\t\x0ckey\x0b"), Ok(vec!["GET".into(), "key\x0b".into()]));
    assert_eq!(words("SET 'k'\x0cv \x0b"), Ok(vec!["SET".into(), "k".into(), "v".into()]));
    for line in ["SET k \"open", "SET k 'open", "SET k 'a'b", r#"SET k "a"b"#] {
        assert_eq!(words(line), Err(ProtocolError::UnbalancedQuotes), "{line}");
    }
}

#[test]
fn limits_are_told_in_redis_words() {
    let cases: [(Vec<u8>, &str); 10] = [
        (vec![b'x'; MAX_INLINE_BYTES + 1], "too big inline request"),
        (format!("*{}", "1".repeat(40)).into(), "too big mbulk count string"),
        (b"*16777217\r\n".into(), "invalid multibulk length"),
        (b"*x\r\n".into(), "invalid multibulk length"),
        (b"*1\r\n:1\r\n".into(), "expected '$', got ':'"),
        (format!("*1\r\n${}", "1".repeat(40)).into(), "too big bulk count string"),
        (b"*1\r\n$-1\r\n".into(), "invalid bulk length"),
        (b"*1\r\n$536870913\r\n".into(), "invalid bulk length"),
        (b"*1\r\n$1\r\nxyz".into(), "expected CR LF after a bulk string"),
        (b"*1\r\n$1\n".into(), "invalid bulk length"),
    ];
    for (bytes, words) in cases {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        assert_eq!(parse(&bytes).unwrap_err().to_string(), format!("Protocol error: {words}"), "{shown}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn a_request_is_too_large_as_a_whole() {
    let half = vec![b'v'; MAX_VALUE_BYTES - 10];
    let long = encode(&[b"MSET".into(), b"a".into(), half.clone(), b"b".into(), half]);
    assert_eq!(parse(&long), Err(TooLarge::Request.into()));
}

#[test]
fn what_is_too_large_names_the_limit() {
    for (bytes, words) in [
        ("*1048577\r\n", "the request has 1048577 arguments, but the limit is 1048576: send several"),
        (
            "*2\r\n$3\r\nGET\r\n$16777217\r\n",
            "the value has 16777217 bytes, but the limit is 16777216 (16 MiB)",
        ),
    ] {
        let error = parse(bytes.as_bytes()).unwrap_err();
        assert!(matches!(error, ProtocolError::TooLarge(_)));
        assert!(error.to_string().starts_with(words), "{error}");
    }
}

#[test]
fn an_announced_length_alone_takes_no_memory() {
    let mut parser = Parser::default();
    assert_eq!(parser.parse(b"*1048576\r\n$16777216\r\n"), Ok(None));
    assert!(parser.ranges.capacity() < 16);
}
