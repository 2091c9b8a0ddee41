//! A replicated key-value store over Redis protocol and HTTP, and the niagara binary.
