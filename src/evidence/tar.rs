//! The simplest form of tar: plain files, names up to 100 bytes, no times and owners, so that the same files give the
//! same bytes.

/// Bytes of a record.
const RECORD: usize = 512;

/// Packs files, in the order given.
pub(super) fn pack(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, data) in files {
        let mut header = [0_u8; RECORD];
        let mut put = |at: usize, text: &str| {
            for (place, byte) in text.bytes().enumerate() {
                if let Some(slot) = header.get_mut(at + place) {
                    *slot = byte;
                }
            }
        };
        put(0, name);
        put(100, "0000600\0");
        put(108, "0000000\0");
        put(116, "0000000\0");
        put(124, &format!("{:011o}\0", data.len()));
        put(136, "00000000000\0");
        put(148, "        ");
        put(156, "0");
        put(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        let digits = format!("{sum:06o}\0 ");
        header[148..156].copy_from_slice(digits.as_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(data);
        out.resize(out.len().next_multiple_of(RECORD), 0);
    }
    out.resize(out.len() + 2 * RECORD, 0);
    out
}

/// Takes such a file apart; nothing where it is not byte for byte what [`pack`] makes.
pub(super) fn unpack(data: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut at = 0;
    while data.get(at)? != &0 {
        let header = data.get(at..at + RECORD)?;
        let name = header.get(..100)?.split(|byte| *byte == 0).next()?;
        let name = std::str::from_utf8(name).ok()?.to_owned();
        let size = std::str::from_utf8(header.get(124..135)?).ok()?;
        let size = usize::from_str_radix(size, 8).ok()?;
        let start = at + RECORD;
        files.push((name, data.get(start..start.checked_add(size)?)?.to_vec()));
        at = (start + size).next_multiple_of(RECORD);
    }
    (pack(&files) == data).then_some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_taken_apart_and_nothing_else_is() {
        let files = vec![("a.txt".to_owned(), b"one".to_vec()), ("b".to_owned(), vec![7; 1_000])];
        let packed = pack(&files);
        assert_eq!(unpack(&packed), Some(files));
        for at in (0..packed.len()).step_by(7) {
            let mut changed = packed.clone();
            changed[at] ^= 1;
            let taken = unpack(&changed);
            assert!(taken.is_none_or(|taken| pack(&taken) != packed), "byte {at}");
        }
    }
}
