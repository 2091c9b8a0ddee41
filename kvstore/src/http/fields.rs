//! Objects of JSON in bodies. What is derived for a struct takes an array of its fields' values as well, in their order; a
//! client that sends one means something else.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A struct that only an object is read as.
#[derive(Debug)]
pub(super) struct Fields<T>(T);

impl<T> Deref for Fields<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Reads a body that is one object.
pub(super) fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body).map(|Fields(object)| object)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Fields<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields<T>, D::Error> {
        deserializer.deserialize_map(Object(PhantomData)).map(Fields)
    }
}

struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Pair {
        one: u32,
        #[serde(default)]
        other: Vec<Fields<Pair>>,
    }

    #[test]
    fn an_array_is_no_object() {
        let pair: Pair = read(br#" {"one":1,"other":[{"one":2}]}"#).unwrap();
        assert_eq!((pair.one, pair.other[0].one), (1, 2));
        for body in ["[1]", "[1,[]]", "1", "null", r#"{"one":1,"other":[[2]]}"#] {
            let error = read::<Pair>(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("expected an object"), "{body}: {error}");
        }
        for body in ["", "{", r#"{"one":1} x"#, r#"{"one":1,"two":2}"#, r#"{"one":1,"one":2}"#] {
            assert!(read::<Pair>(body.as_bytes()).is_err(), "{body}");
        }
    }
}
