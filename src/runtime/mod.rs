//! How tasks live and end.

pub mod backoff;
pub mod clock;
pub mod http;
pub mod letterbox;
pub mod limits;
pub mod supervisor;
pub mod systemd;
pub mod tls;
