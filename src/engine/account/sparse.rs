//! Values that mostly are nothing, written as one byte where they are.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes a value, or that it is the default.
pub(super) fn serialize<T, S>(value: &T, to: S) -> Result<S::Ok, S::Error>
where
    T: Serialize + Default + PartialEq,
    S: Serializer,
{
    (*value != T::default()).then_some(value).serialize(to)
}

/// Reads what `serialize` wrote.
pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}
