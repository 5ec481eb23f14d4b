//! Hostile bytes and signed formats. Pure: no I/O, and time is an argument.
