//! Functions that scripts call and Rust executes. They fail as functions of C do in Redis: with a text, which begins with the
//! line of the script that called them.

use mlua::{Error, FromLuaMulti, Function, IntoLuaMulti, Lua};

/// A function for scripts.
pub(super) fn function<A, R>(
    lua: &Lua,
    does: impl Fn(&Lua, A) -> mlua::Result<R> + 'static,
) -> mlua::Result<Function>
where
    A: FromLuaMulti,
    R: IntoLuaMulti,
{
    lua.create_function(move |lua, arguments| {
        does(lua, arguments).map_err(|error| match error {
            Error::RuntimeError(text) => Error::RuntimeError(place(lua) + &text),
            other => other,
        })
    })
}

/// The name of the prelude, of which no script hears.
pub(super) const PRELUDE_CHUNK: &str = "=prelude";

/// The line of the script that has called the function which is executed now; nothing if Lua itself has called it.
fn place(lua: &Lua) -> String {
    let line = |caller: &mlua::debug::Debug<'_>| {
        let (line, source) = (caller.current_line()?, caller.source());
        let is_script = source.source.is_some_and(|name| name != PRELUDE_CHUNK);
        is_script.then_some(format!("{}:{line}: ", source.short_src?))
    };
    lua.inspect_stack(1, line).flatten().unwrap_or_default()
}

/// An error's text, without a line of the prelude in front of it.
pub(super) fn placed(text: &[u8]) -> &[u8] {
    let behind = |text: &[u8]| {
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        text[digits..].starts_with(b": ").then_some(digits + 2)
    };
    let name = &PRELUDE_CHUNK.as_bytes()[1..];
    let rest = text.strip_prefix(name).and_then(|rest| rest.strip_prefix(b":"));
    rest.and_then(|rest| Some(&rest[behind(rest)?..])).unwrap_or(text)
}

/// What a script is told of an error.
pub(super) fn text(error: &Error) -> String {
    match error {
        Error::CallbackError { cause, .. } => text(cause),
        Error::RuntimeError(text) => text.clone(),
        Error::BadArgument { pos, cause, .. } => match &**cause {
            Error::FromLuaConversionError { from, to, .. } => {
                let to = if to == "string" { to } else { "number" };
                format!("bad argument #{pos} ({to} expected, got {from})")
            }
            cause => format!("bad argument #{pos} ({})", text(cause)),
        },
        other => {
            let text = other.to_string();
            text.split("\nstack traceback:").next().unwrap_or(&text).to_owned()
        }
    }
}
