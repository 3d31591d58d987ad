//! Scenarios of the whole stack in the simulated network, one behaviour per file. One binary, so that they link once.
//! To add one: a file beside this one and a line below.

mod bad_network;
mod comes_up;
mod crossings;
mod deterministic;
mod hostile;
mod ivs;
mod liveness;
mod nat;
mod puzzles;
mod refusals;
mod rekey;
mod reload;
mod retries;
mod simultaneous;
mod strangers;
mod traffic;
