//! A coarse word for the device, for the list of one's sessions (pure). It is no identification:
//! what a browser says of itself is never more than a hint.

/// "Firefox on Linux", from a `User-Agent` header; what is not known is "a browser", "a device".
pub fn device_word(user_agent: Option<&str>) -> String {
    let agent = user_agent.unwrap_or_default();
    let first = |known: &[(&str, &'static str)], unknown| {
        known
            .iter()
            .find(|(mark, _)| agent.contains(mark))
            .map_or(unknown, |(_, word)| *word)
    };
    // The order matters: Edge and Opera call themselves Chrome, and Chrome calls itself Safari.
    let browser = first(
        &[
            ("Edg", "Edge"),
            ("OPR/", "Opera"),
            ("Firefox/", "Firefox"),
            ("FxiOS/", "Firefox"),
            ("CriOS/", "Chrome"),
            ("Chrome/", "Chrome"),
            ("Safari/", "Safari"),
        ],
        "a browser",
    );
    let system = first(
        &[
            ("Android", "Android"),
            ("iPhone", "iPhone"),
            ("iPad", "iPad"),
            ("Windows", "Windows"),
            ("Mac OS X", "macOS"),
            ("CrOS", "ChromeOS"),
            ("Linux", "Linux"),
        ],
        "a device",
    );
    format!("{browser} on {system}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_usual_browsers_and_never_repeats_what_it_was_told() {
        for (agent, word) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/8.0 <script>", "a browser on a device"),
        ] {
            assert_eq!(device_word(Some(agent)), word);
        }
        assert_eq!(device_word(None), "a browser on a device");
    }
}
