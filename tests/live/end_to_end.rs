//! From an exchange's socket to a person's screen.
