//! Happy Eyeballs for programs that have none.

pub mod run;
pub mod serve;
