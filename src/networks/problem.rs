//! What is wrong with a table of networks.

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It is larger than is taken.
    #[error("is larger than {0} MiB; such a table is of something else")]
    TooLarge(u64),
    /// It has no row.
    #[error("has no row: write lines such as 203.0.113.0/24,64500,DE,Example Net")]
    Empty,
    /// A row cannot be read.
    #[error(
        "line {line}: {why}; rows are PREFIX,OPERATOR or PREFIX,ASN,COUNTRY,OPERATOR or as a first line names them"
    )]
    Row {
        /// Its number, from 1.
        line: usize,
        /// Why.
        why: &'static str,
    },
    /// Two rows overlap and neither holds the other.
    #[error("line {line}: it overlaps line {other}, and neither is a part of the other")]
    Overlap {
        /// The later row.
        line: usize,
        /// The earlier one.
        other: usize,
    },
    /// It is not UTF-8.
    #[error("is neither text nor a MaxMind database; it may be compressed in another way than gzip")]
    NotText,
    /// It is a damaged MaxMind database.
    #[error("is a MaxMind database that is damaged or not whole ({0}); fetch it again")]
    Database(String),
    /// It is a MaxMind database that tells nothing of use.
    #[error(
        "is a MaxMind database of type {0}, which tells neither networks nor countries; take an ASN, Country or City one"
    )]
    NoUse(String),
}
