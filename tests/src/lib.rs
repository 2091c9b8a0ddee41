//! Whole-system tests: a cluster's life, real processes killed for real, hostile bytes.
