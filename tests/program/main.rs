//! The program from outside: the packages it comes in, the clients that others published for it, and what it lets slip.

mod canary;
mod clients;
mod package;
#[path = "../support/static_program.rs"]
mod static_program;
