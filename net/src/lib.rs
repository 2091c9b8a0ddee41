//! Framed, checked, reconnecting channels between servers.
