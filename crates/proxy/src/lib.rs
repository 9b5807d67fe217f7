//! Happy Eyeballs for programs that have none.
