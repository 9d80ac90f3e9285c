//! The files of `deploy/` that can be run here, as they stand but for names, ports and certificates.

pub mod front;
