//! "Did you mean": the known word nearest to a mistyped one.

/// A word this many edits away is no misspelling, whatever its length.
const EDITS_MAX: usize = 3;

/// The candidate nearest to `word`, where one is near enough to be what was meant.  Case does not matter, nor
/// whether `-` or `_` divides the parts.
pub(super) fn nearest<'word>(
    word: &str,
    candidates: impl IntoIterator<Item = &'word str>,
) -> Option<&'word str> {
    let plain = |word: &str| word.to_ascii_lowercase().replace('_', "-");
    let word = plain(word);
    // A third of a word may be wrong: of a short one less than of a long one.
    let edits_max = EDITS_MAX.min(word.len().div_ceil(3));
    candidates
        .into_iter()
        // Words much longer than a name are not worth measuring.
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= EDITS_MAX)
        .map(|candidate| (strsim::levenshtein(&word, &plain(candidate)), candidate))
        .filter(|&(edits, _)| edits <= edits_max)
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, candidate)| candidate)
}

/// The sentence that suggests the nearest candidate, or nothing.
pub fn did_you_mean<'word>(word: &str, candidates: impl IntoIterator<Item = &'word str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_miss_is_suggested() {
        let names = ["port", "bind", "maxmemory", "maxmemory-policy"];
        assert_eq!(nearest("prot", names), Some("port"));
        assert_eq!(nearest("max-memory", names), Some("maxmemory"));
        assert_eq!(nearest("MAXMEMORY_POLICY", names), Some("maxmemory-policy"));
        assert_eq!(nearest("zzz", names), None);
    }
}
