//! Names of header fields, as people read them.

/// A field's name as people write it: `x-api-key` is `X-API-Key`.
pub fn field_name(lower: &str) -> String {
    let word = |word: &str| match word {
        "api" | "id" | "jwt" => word.to_ascii_uppercase(),
        "apikey" => "ApiKey".to_owned(),
        "websocket" => "WebSocket".to_owned(),
        _ => {
            let mut letters = word.chars();
            letters.next().map_or(String::new(), |first| {
                std::iter::once(first.to_ascii_uppercase()).chain(letters).collect()
            })
        }
    };
    lower.split('-').map(word).collect::<Vec<_>>().join("-")
}
