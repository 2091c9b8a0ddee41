//! What scripts compute and return, and what ends them.

use bytes::Bytes;

use super::limits::MOST_BYTES;
use super::*;
use crate::Data;

/// Remembers what it was asked for, and echoes some of it.
#[derive(Default)]
struct Echo(Vec<Vec<Vec<u8>>>);

impl Host for Echo {
    fn call(&mut self, words: &[&[u8]]) -> Data {
        self.0.push(words.iter().map(|word| word.to_vec()).collect());
        match words {
            [b"null"] => Data::Null,
            [b"status"] => Data::OK,
            [b"fail"] => Data::Error("WRONGTYPE of no use".into()),
            [b"number", number] => Data::Integer(std::str::from_utf8(number).unwrap().parse().unwrap()),
            [b"all", all @ ..] => Data::Array(all.iter().map(|word| bulk(word)).collect()),
            [b"map"] => Data::Map(vec![("name".into(), Data::Integer(7))]),
            _ => bulk(b"?"),
        }
    }
}

fn bulk(text: &[u8]) -> Data {
    Data::Bulk(Bytes::copy_from_slice(text))
}

fn ran(source: &str, keys: &[&[u8]], arguments: &[&[u8]]) -> (Data, Vec<Vec<Vec<u8>>>) {
    let mut host = Echo::default();
    let script = Script { source: source.as_bytes(), keys, arguments, clock: 1_234_500 };
    let data = run(&script, &mut host);
    (data, host.0)
}

fn result(source: &str) -> Data {
    ran(source, &[], &[]).0
}

/// What a script returns as one text.
fn text(source: &str) -> String {
    match result(source) {
        Data::Bulk(text) => String::from_utf8(text.to_vec()).unwrap(),
        other => panic!("{source}: {other:?}"),
    }
}

fn error(source: &str) -> String {
    match result(source) {
        Data::Error(text) => text.into_owned(),
        other => panic!("{source}: {other:?}"),
    }
}

#[test]
fn results_become_answers_as_in_redis() {
    let cases = [
        ("return 3.99", Data::Integer(3)),
        ("return -3.99", Data::Integer(-3)),
        ("return true", Data::Integer(1)),
        ("return false", Data::Null),
        ("return nil", Data::Null),
        ("", Data::Null),
        ("return 'text'", bulk(b"text")),
        (
            "return {1, 'two', {3}, nil, 5}",
            Data::Array(vec![Data::Integer(1), bulk(b"two"), Data::Array(vec![Data::Integer(3)])]),
        ),
        ("return {ok='FINE'}", Data::Status("FINE".into())),
        ("return {err='MY Err'}", Data::Error("MY Err".into())),
        ("return redis.status_reply('a\\r\\nb')", Data::Status("a  b".into())),
        ("return redis.error_reply('-CODE text')", Data::Error("CODE text".into())),
        ("return {double=3.5}", bulk(b"3.5")),
        (
            "return {map={b=1, a=2}}",
            Data::Array(vec![bulk(b"a"), Data::Integer(2), bulk(b"b"), Data::Integer(1)]),
        ),
        ("return {set={x=true, 3}}", Data::Array(vec![Data::Integer(1), bulk(b"x")])),
        ("return function() end", Data::Null),
        ("#!lua flags=allow-oom\nreturn 1", Data::Integer(1)),
    ];
    for (source, expected) in cases {
        assert_eq!(result(source), expected, "{source}");
    }
}

#[test]
fn commands_are_called_with_words_and_answers_become_values() {
    let (data, calls) = ran(
        "redis.call('set', KEYS[1], ARGV[1], 0.1, 3, 1e20, -7) return #KEYS + #ARGV",
        &[b"k\0"],
        &[b"v", b"w"],
    );
    assert_eq!(data, Data::Integer(3));
    let words: Vec<&[u8]> = vec![b"set", b"k\0", b"v", b"0.1", b"3", b"1e+20", b"-7"];
    assert_eq!(calls, [words]);
    assert_eq!(result("return redis.call('number', '42') + 1"), Data::Integer(43));
    assert_eq!(text("return redis.call('status').ok"), "OK");
    assert_eq!(text("return tostring(redis.call('null'))"), "false");
    assert_eq!(text("redis.setresp(3) return tostring(redis.call('null'))"), "nil");
    assert_eq!(text("return redis.call('all', 'a', 'b')[2]"), "b");
    assert_eq!(
        result("local m = redis.call('map') return {m[1], m[2]}"),
        Data::Array(vec![bulk(b"name"), Data::Integer(7)])
    );
    assert_eq!(result("redis.setresp(3) return redis.call('map').map.name"), Data::Integer(7));
}

#[test]
fn failures_are_raised_caught_and_shown_in_one_line() {
    assert_eq!(text("return redis.pcall('fail').err"), "WRONGTYPE of no use");
    assert_eq!(text("local ok, e = pcall(redis.call, 'fail') return e"), "WRONGTYPE of no use");
    let shown = error("redis.call('fail')");
    assert!(shown.starts_with("WRONGTYPE of no use script: "), "{shown}");
    let shown = error("\nerror('bo\\nom')");
    assert!(shown.starts_with("ERR user_script:2: bo om script: "), "{shown}");
    assert!(error("return +").starts_with("ERR Error compiling script (new function): user_script:1:"));
    assert!(check(b"return +").unwrap_err().starts_with("ERR Error compiling script"));
    assert_eq!(check(b"return 1"), Ok(()));
    assert!(error("redis.call()").contains("at least one argument"));
    assert!(error("redis.call({})").contains("must be strings or integers"));
    assert!(error("error({})").starts_with("ERR unknown error script: "));
    assert!(error("error(print)").contains("nonexistent global variable 'print'"));
    assert!(!error("error(tostring)").contains("0x"));
}

/// `pcall` shows a text, whatever has failed: scripts append it to another, or return it as an error.
#[test]
fn what_is_caught_is_a_text() {
    for (failing, caught) in [
        ("cjson.decode, '[x'", "Expected value but found invalid token at character 2"),
        (
            "function() cjson.decode('{') end",
            "user_script:1: Expected object key string but found T_END at character 2",
        ),
        (
            "function() return cjson.decode('[1') end",
            "user_script:1: Expected comma or array end but found T_END at character 3",
        ),
        ("cjson.decode, nil", "bad argument #1 to 'decode' (string expected, got nil)"),
        ("cmsgpack.unpack, '\\193'", "Bad data format in input."),
        ("struct.unpack, '>I', 'a'", "data string too short"),
        ("bit.band, 'x'", "bad argument #1 (number expected, got string)"),
        ("string.find, 'a', '['", "malformed pattern (missing ']')"),
        ("redis.setresp, 5", "ERR RESP version must be 2 or 3."),
        ("redis.log, 5", "ERR redis.log() requires two arguments or more."),
        ("error, 'x'", "x"),
        ("error, {err='CODE x', more=1}", "CODE x"),
        ("nil", "attempt to call a nil value"),
    ] {
        assert_eq!(
            text(&format!("local ok, e = pcall({failing}) return 'so: ' .. e")),
            format!("so: {caught}")
        );
    }
    assert_eq!(
        text(
            "local ok, e = xpcall(function() cjson.decode('x') end, function(e) return 'H ' .. e end) return e"
        ),
        "H user_script:1: Expected value but found invalid token at character 1"
    );
    assert_eq!(
        text(
            "local ok, e = xpcall(function() redis.call('fail') end, function(e) return e.err end) return e"
        ),
        "WRONGTYPE of no use"
    );
    assert_eq!(
        result("return select('#', pcall(error, {1, 2})) + #select(2, pcall(error, {1, 2}))"),
        Data::Integer(4)
    );
    for (source, begin) in [
        ("error({err='My own'})", "My own script: "),
        ("error({err='short'})", "short script: "),
        ("error('WORD first', 0)", "ERR WORD first script: "),
        ("error('at the caller', 2)", "ERR at the caller script: "),
        ("error()", "ERR nil script: "),
        ("error(true)", "ERR true script: "),
        ("error(5)", "ERR user_script:1: 5 script: "),
        ("cjson.encode(0/0)", "ERR user_script:1: Cannot serialise number: must not be NaN or Inf script: "),
        ("return redis.error_reply('short')", "ERR short"),
        ("return redis.error_reply('MY own')", "MY own"),
        ("return redis.error_reply('-MY own')", "MY own"),
        ("return redis.error_reply('')", "ERR "),
        ("return redis.error_reply(1)", "ERR wrong number or type of arguments"),
        ("return redis.status_reply('a', 'b')", "ERR wrong number or type of arguments"),
    ] {
        let shown = error(source);
        assert!(shown.starts_with(begin), "{source}: {shown}");
    }
}

#[test]
fn json_is_read_as_in_redis() {
    for (json, shown) in [
        (r#""\u00e9\ud83d\ude00\/\b""#, "\u{e9}\u{1f600}/\u{8}"),
        ("\"a\tb\"", "a\tb"),
        ("[0x10, 01, -0.5e1, +3]", "[16,1,-5,3]"),
        (" { \"a\" : [ ] , \"a\" : 2 } ", r#"{"a":2}"#),
    ] {
        let arguments: [&[u8]; 1] = [json.as_bytes()];
        let source = "local v = cjson.decode(ARGV[1]) return type(v) == 'table' and cjson.encode(v) or v";
        assert_eq!(
            ran(source, &[], &arguments).0,
            Data::Bulk(Bytes::copy_from_slice(shown.as_bytes())),
            "{json}"
        );
    }
    for (json, why) in [
        ("", "Expected value but found T_END at character 1"),
        ("[1,]", "Expected value but found T_ARR_END at character 4"),
        (r#"{"a"}"#, "Expected colon but found T_OBJ_END at character 5"),
        (r#"{"a":1 2}"#, "Expected comma or object end but found T_NUMBER at character 8"),
        ("{a:1}", "Expected object key string but found invalid token at character 2"),
        ("nul", "Expected value but found invalid token at character 1"),
        ("[1] x", "Expected the end but found invalid token at character 5"),
        (r#""\ud83d""#, "Expected value but found invalid unicode escape code at character 2"),
        (r#""\x""#, "Expected value but found invalid escape code at character 2"),
        (r#""open"#, "Expected value but found unexpected end of string at character 6"),
        ("-", "Expected value but found invalid number at character 1"),
        ("a\0", "JSON parser does not support UTF-16 or UTF-32"),
    ] {
        let arguments: [&[u8]; 1] = [json.as_bytes()];
        let (data, _) = ran("local ok, e = pcall(cjson.decode, ARGV[1]) return e", &[], &arguments);
        assert_eq!(data, Data::Bulk(Bytes::copy_from_slice(why.as_bytes())), "{json}");
    }
    let bytes: Vec<u8> = (1..=255).collect();
    let (data, _) = ran("return cjson.decode(cjson.encode(ARGV[1]))", &[], &[&bytes]);
    assert_eq!(data, Data::Bulk(bytes.into()), "texts need not be UTF-8");
    let nested = |depth| {
        format!(
            "return #cjson.encode(cjson.decode(string.rep('[', {depth}) .. '1' .. string.rep(']', {depth})))"
        )
    };
    assert_eq!(result(&nested(1000)), Data::Integer(2001));
    assert!(error(&nested(1001)).contains("Found too many nested data structures (1001) at character 1001"));
}

#[test]
fn json_has_the_settings_of_redis() {
    for (source, shown) in [
        ("cjson.encode_sparse_array(true) return cjson.encode({[1]=1, [100]=2})", r#"{"1":1,"100":2}"#),
        ("cjson.encode_number_precision(3) return cjson.encode(1/3)", "0.333"),
        ("cjson.encode_invalid_numbers('null') return cjson.encode({1/0, 1})", "[null,1]"),
        ("cjson.encode_invalid_numbers(true) return cjson.encode({-1/0, 0/0})", "[-inf,nan]"),
        (
            "cjson.decode_invalid_numbers(false) local ok, e = pcall(cjson.decode, '0x10') return e",
            "Expected value but found invalid number at character 1",
        ),
        (
            "cjson.decode_max_depth(1) local ok, e = pcall(cjson.decode, '[[]]') return e",
            "Found too many nested data structures (2) at character 2",
        ),
        (
            "cjson.encode_max_depth(1) local ok, e = pcall(cjson.encode, {{}}) return e",
            "Cannot serialise, excessive nesting (2)",
        ),
        (
            "local other = cjson.new() other.encode_number_precision(2) return cjson.encode(1/3) .. other.encode(1/3)",
            "0.333333333333330.33",
        ),
        ("local a, b, c = cjson.encode_sparse_array() return tostring(a) .. b .. c", "false210"),
        (
            "return cjson.encode_max_depth() + cjson.decode_max_depth() + cjson.encode_number_precision() .. ''",
            "2014",
        ),
        (
            "local ok, e = pcall(cjson.encode_max_depth, 0) return e",
            "bad argument #1 to 'encode_max_depth' (expected integer between 1 and 1000)",
        ),
    ] {
        assert_eq!(text(source), shown, "{source}");
    }
}

#[test]
fn numbers_without_a_place_become_the_least_integer() {
    for source in ["return 1e20", "return 0/0", "return 1/0", "return 9223372036854775807"] {
        assert_eq!(result(source), Data::Integer(i64::MIN), "{source}");
    }
    let (_, calls) = ran("redis.call('set', -0)", &[], &[]);
    assert_eq!(calls, [[b"set".to_vec(), b"0".to_vec()]]);
}

#[test]
fn functions_of_older_and_newer_lua_do_as_in_redis() {
    for (source, shown) in [
        ("local o = '' table.foreach({b=1, a=2}, function(k, v) o = o .. k .. v end) return o", "a2b1"),
        ("return table.foreach({7, 8, 9}, function(_, v) if v == 8 then return 'found' end end)", "found"),
        ("local o = '' for word in string.gfind('a b', '%a') do o = o .. word end return o", "ab"),
        (
            "local parts = {'return ', '\\'x', '\\''} local at = 0 return load(function() at = at + 1 return parts[at] end)()",
            "x",
        ),
    ] {
        assert_eq!(text(source), shown, "{source}");
    }
}

#[test]
fn limits_cannot_be_caught() {
    for source in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "pcall(function() while true do end end) return 1",
        "xpcall(function() while true do end end, function() return 1 end) return 1",
        "local function f() return pcall(f) end while true do f() end",
        "local t = {} for i = 1, 1e5 do t[i] = i end while true do for _ in pairs(t) do break end end",
    ] {
        assert!(error(source).contains("instructions"), "{source}: {:?}", result(source));
    }
    for source in [
        "return string.find(string.rep('a', 200), string.rep('a-', 100) .. 'b')",
        "local s = string.rep('x', 9000000) while true do s = s:upper() end",
        "local t = {} for i = 1, 20000 do t[i] = -i end while true do table.sort(t) end",
    ] {
        assert!(error(source).contains("instructions"), "{source}: {:?}", result(source));
    }
    let half = MOST_BYTES / 2;
    for source in [
        format!("local t = {{}} for i = 1, 10 do t[i] = string.rep(tostring(i), {half}) end"),
        format!("pcall(string.rep, 'x', {}) return 1", 4 * half),
        "local s = 'x' while true do s = s .. s end".into(),
    ] {
        let shown = error(&source);
        assert!(shown.contains("memory"), "{source}: {shown}");
    }
    assert!(error("local t = {} t[1] = t t[2] = t return t").contains("too large"));
    assert!(matches!(result("local t = {} t[1] = t return t"), Data::Array(_)));
}

/// Whatever differs from server to server is out of reach.
#[test]
fn nothing_differs_from_server_to_server() {
    for source in [
        "local t = {} for i = 1, 50 do t['k' .. (i * 7919 % 101)] = i end local o = {} for k in pairs(t) do o[#o + 1] = k end return table.concat(o, ' ')",
        "return table.concat({math.random(), math.random(10), math.random(5, 9)}, ' ')",
        "math.randomseed(7) return math.random(1000000) .. ''",
        "return tostring({}) .. tostring(print_) .. tostring(redis.call)",
    ] {
        let source = source.replace("print_", "math.floor");
        assert_eq!(text(&source), text(&source));
        assert!(!text(&source).contains("0x"), "{source}");
    }
    assert_eq!(
        text(
            "local o = {} for k in pairs({b=1, a=2, 10, 20, [3.5]=1, [true]=1}) do o[#o + 1] = tostring(k) end return table.concat(o, ' ')"
        ),
        "1 2 3.5 a b true"
    );
    assert_eq!(
        text(
            "local t, o, k = {x=1, y=2, z=3}, {}, nil repeat k = next(t, k) o[#o + 1] = tostring(k) until not k return table.concat(o, ' ')"
        ),
        "x y z nil"
    );
    assert_eq!(
        text("local t = {a=1, b=2} return next(t, 'a') .. tostring(next({})) .. tostring(next(t, 'b'))"),
        "bnilnil"
    );
    assert!(error("for _ in pairs({[{}]=1}) do end").contains("have no order"));
    assert!(error("return next({[{}]=1})").contains("have no order"));
    for name in [
        "io",
        "require",
        "dofile",
        "loadfile",
        "print",
        "newproxy",
        "coroutine",
        "debug",
        "package",
        "getfenv",
        "setfenv",
        "new",
    ] {
        assert!(error(&format!("return {name}")).contains("nonexistent global variable"), "{name}");
    }
    for protected in ["x = 1", "setmetatable(_G, {})"] {
        assert!(error(protected).contains("Attempt to modify a readonly table"), "{protected}");
    }
    assert_eq!(result("return type(os.execute) == 'nil' and os.clock() == 1234.5"), Data::Integer(1));
    assert_eq!(
        result("return loadstring('\\27Lua') == nil and loadstring('return 7')() == 7"),
        Data::Integer(1)
    );
    assert_eq!(result("return string.dump == nil and collectgarbage('count') == 0"), Data::Integer(1));
}

/// The results are those of Lua 5.1.
#[test]
fn patterns_match_as_in_lua() {
    for (source, expected) in [
        ("table.concat({('hello world'):find('o w')}, ' ')", "5 7"),
        ("table.concat({('hello'):find('l+', 2)}, ' ')", "3 4"),
        ("table.concat({('a.b'):find('.', 1, true)}, ' ')", "2 2"),
        ("table.concat({('key=value'):match('^(%w+)=(%w*)$')}, ' ')", "key value"),
        ("table.concat({('  trim '):match('^%s*(.-)%s*$'), ('x'):find('')}, '|')", "trim|1|0"),
        ("tostring(('abc'):match('^b')) .. tostring(('abc'):find('d', -1))", "nilnil"),
        ("('THE (quick) fox'):find('%((%a+)%)') .. ('f(a(b)c)d'):match('%b()')", "5(a(b)c)"),
        ("('THE (quick) fox'):gsub('%f[%a]%a+', 'W')", "W (W) W"),
        ("('hello world'):gsub('o', '0', 1)", "hell0 world"),
        ("('hello'):gsub('', '-')", "-h-e-l-l-o-"),
        ("('abc'):gsub('%w', '%0%0')", "aabbcc"),
        ("('hello world'):gsub('(%w+) (%w+)', '%2 %1')", "world hello"),
        ("('$name is $age'):gsub('%$(%w+)', {name='x', age=7})", "x is 7"),
        ("('abc'):gsub('b', function(c) return c:upper() end)", "aBc"),
        ("('abc'):gsub('b', function() return false end)", "abc"),
        ("('a,b,,c'):gsub('[^,]*', function(m) return '<' .. m .. '>' end)", "<a><>,<b><>,<>,<c><>"),
        ("('0x1F'):match('^0[xX](%x+)$') .. ('a-b'):match('[a%-]+') .. (']'):match('[]]')", "1Fa-]"),
        ("('x\\0y'):gsub('%z', '0')", "x0y"),
        ("('aa bb'):match('(%a)%1')", "a"),
        ("('position'):match('()i') .. ''", "4"),
        ("('color colour'):gsub('colou?r', 'C')", "C C"),
        (
            "(function() local o = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do o[#o + 1] = k .. v end return table.concat(o, ' ') end)()",
            "a1 b2",
        ),
        ("(function() local n = 0 for _ in ('abc'):gmatch('') do n = n + 1 end return n .. '' end)()", "4"),
        ("('abc'):gsub('^a', 'x')", "xbc"),
        ("('[test]'):gsub('[%[%]]', '')", "test"),
        ("('12345'):rep(2):sub(4, 7)", "4512"),
        ("('x'):find('[a-z]', 1) .. ('é'):gsub('[\\128-\\255]', '?')", "1??"),
    ] {
        let source = source.replace("\\\\", "\\");
        assert_eq!(text(&format!("return (({source}))")), expected, "{source}");
    }
    for (pattern, why) in [
        ("%", "ends with '%'"),
        ("[a", "missing ']'"),
        ("[", "missing ']'"),
        ("[%", "missing ']'"),
        ("(a", "unfinished capture"),
        ("a)", "invalid pattern capture"),
        ("%1", "invalid capture index"),
        ("%fa", "missing '['"),
        ("%b", "unbalanced"),
    ] {
        assert!(error(&format!("return ('aaa'):match('{pattern}')")).contains(why), "{pattern}");
    }
    assert!(error("return ('a'):find(('a-'):rep(1000000))").contains("too complex"));
    assert_eq!(text("return (('a'):gsub('a', 'b%'))"), "b\0");
    assert!(error("return ('a'):gsub('a', function() return {} end)").contains("invalid replacement"));
}

#[test]
fn libraries_do_as_those_of_redis() {
    assert_eq!(
        text(r#"return cjson.encode({1, 2.5, "a/\"\n", true, cjson.null, {}, {k={n=1}}})"#),
        r#"[1,2.5,"a\/\"\n",true,null,{},{"k":{"n":1}}]"#
    );
    assert_eq!(
        text(r#"return cjson.encode(cjson.decode('{"b": [1, null, "x"], "a": 1e3}'))"#),
        r#"{"a":1000,"b":[1,null,"x"]}"#
    );
    assert_eq!(result(r"return cjson.decode('null') == cjson.null"), Data::Integer(1));
    assert!(error("return cjson.decode('{')").contains("T_END"));
    assert!(error("return cjson.encode({[1]=1, [100]=2})").contains("sparse"));
    assert!(error("local t = {} t[1] = t return cjson.encode(t)").contains("excessive nesting (1001)"));
    assert!(error("return cjson.encode(0/0)").contains("NaN"));
    assert_eq!(
        text("return bit.tohex(bit.bor(0xf0, 0x0f)) .. bit.tohex(-1, -4) .. bit.lshift(1, 31)"),
        "000000ffFFFF-2147483648"
    );
    assert_eq!(
        text(
            "return bit.band(-1, 255) .. ' ' .. bit.bnot(0) .. ' ' .. bit.rshift(-1, 28) .. ' ' .. bit.arshift(-16, 2) .. ' ' .. bit.bxor(5, 1, 2)"
        ),
        "255 -1 15 -4 6"
    );
    assert_eq!(
        text(
            "return bit.tohex(bit.rol(0x12345678, 12)) .. bit.tohex(bit.bswap(0x12345678)) .. bit.tobit(4294967295)"
        ),
        "4567812378563412-1"
    );
    for value in [
        "1",
        "-1",
        "200",
        "-200",
        "70000",
        "-70000",
        "5000000000",
        "1.5",
        "0.1",
        "'text'",
        "true",
        "{1, 2, 3}",
        "{a=1, b={2}}",
    ] {
        let same = format!(
            "local v = {value} local a = cmsgpack.pack(v) return cjson.encode({{cmsgpack.unpack(a)}}) == cjson.encode({{v}})"
        );
        let shown = format!("return cjson.encode({{cmsgpack.unpack(cmsgpack.pack({value}))}})");
        assert_eq!(result(&same), Data::Integer(1), "{value}: {}", text(&shown));
    }
    assert!(error("return cmsgpack.unpack('\\220\\255')").contains("Missing bytes"));
    assert_eq!(result("return struct.pack('>I2hs', 258, -2, 'ab')"), bulk(b"\x01\x02\xff\xfeab\0"));
    assert_eq!(
        result("return {struct.unpack('<i4c0', '\\3\\0\\0\\0abcd')}"),
        Data::Array(vec![bulk(b"abc"), Data::Integer(8)])
    );
    assert_eq!(result("return struct.size('>!4bi4d')"), Data::Integer(16));
    assert!(error("return struct.unpack('I4', 'abc')").contains("too short"));
    assert!(error("return struct.pack('I9', 1)").contains("larger than limit"));
    assert_eq!(text("return redis.sha1hex('')"), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}
