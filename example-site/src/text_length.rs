//! Length of texts in forms.

/// Returns the length of `text` as a browser counts it for the attribute `maxlength`: in UTF-16
/// code units, with a line break as one. Browsers send a line break as two characters.
pub(crate) fn text_length(text: &str) -> usize {
    text.encode_utf16().count() - text.matches("\r\n").count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_that_of_the_browser() {
        for (text, length) in [
            ("", 0),
            ("abc", 3),
            ("\u{e4}\u{20ac}", 2),
            ("\u{1f600}", 2),
            ("a\r\nb\r\n", 4),
            ("a\nb\rc", 5),
        ] {
            assert_eq!(text_length(text), length, "{text:?}");
        }
    }
}
