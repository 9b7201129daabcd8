//! Why a market model is refused.

/// Why a market model is refused.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// It is no JSON, or not a market model's.
    #[error("it is not a market model as `fillguard train` writes it: {0}")]
    Shape(serde_json::Error),
    /// Its shape is of another version.
    #[error("its version is {found}, and this program reads version {known}; train it again")]
    Version {
        /// What it says.
        found: u32,
        /// What is read.
        known: u32,
    },
    /// Its features are of another version.
    #[error("it was fitted on version {found} of the features, and these are version {known}; train it again")]
    FeaturesVersion {
        /// What it says.
        found: u32,
        /// What is computed.
        known: u32,
    },
    /// It looks at something that is not computed.
    #[error("nothing is known of a feature named {0:?}; train it again")]
    UnknownFeature(String),
    /// It lists a feature twice.
    #[error("it lists the feature {0:?} twice")]
    Twice(String),
    /// A number is none.
    #[error("{0} holds something that is not a finite number")]
    NotANumber(String),
    /// A tree cannot be walked.
    #[error("tree {nth} cannot be used: {why}")]
    Tree {
        /// Which, counted from 0.
        nth: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A list is too short or too long.
    #[error("{what} has {found} entries; {least} to {most} are possible")]
    Size {
        /// Which list.
        what: &'static str,
        /// Entries it has.
        found: usize,
        /// Entries it needs.
        least: usize,
        /// Entries it may have.
        most: usize,
    },
    /// More of it would be worth less.
    #[error("the rows of {0} must rise, and what they are worth must not fall")]
    Falls(&'static str),
    /// Evidence beyond what one term may weigh.
    #[error("{what} lies beyond what one term may weigh, {least} to {most} nats")]
    Nats {
        /// Which table.
        what: &'static str,
        /// The least.
        least: f64,
        /// The most.
        most: f64,
    },
    /// It is not what its record was written for.
    #[error("its content does not match the hash in its record: it was changed after training; train it again")]
    Changed,
}
