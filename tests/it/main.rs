//! The appliance as its users meet it: over sockets and on the command line, hermetic, with a broker in memory and a
//! clock that is moved by hand.

mod authority;
mod claims;
mod cli;
mod connections;
mod credentials;
mod limits;
mod local;
mod queues;
mod remote;
mod routes;
mod sign;
mod simulation;
mod vectors;
mod wire;
mod world;
