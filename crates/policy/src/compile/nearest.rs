//! What somebody may have meant by a misspelt word.

/// `did you mean "…"? ` where a candidate is near, else nothing: the beginning of a hint.
pub(super) fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    nearest(word, candidates).map(|candidate| format!("did you mean {candidate:?}? ")).unwrap_or_default()
}

/// Whether two words are one slip of the hand apart.
pub(super) fn is_slip(word: &str, meant: &str) -> bool {
    strsim::osa_distance(word, meant) == 1
}

/// The candidate that is most like a misspelt word, if one is like it at all.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
