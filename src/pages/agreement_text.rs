//! Agreement texts: Markdown to HTML, without any HTML of the source.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// HTML made by [`AgreementHtml::from_markdown`] alone, so that it can be shown unescaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementHtml(String);

impl AgreementHtml {
    /// Renders Markdown (with tables). HTML in it is shown as text; links keep only `https:`,
    /// `http:`, `mailto:` and places on this site; images are left out.
    ///
    /// The first top heading is the page's own title and not repeated.
    pub fn from_markdown(markdown: &str) -> Self {
        let mut title_seen = false;
        let mut in_title = false;
        let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).filter_map(|event| {
            let starts = matches!(
                event,
                Event::Start(Tag::Heading {
                    level: HeadingLevel::H1,
                    ..
                })
            );
            if starts && !title_seen {
                (title_seen, in_title) = (true, true);
            }
            if in_title {
                in_title = !matches!(event, Event::End(TagEnd::Heading(HeadingLevel::H1)));
                return None;
            }
            harmless(event)
        });
        let mut rendered = String::new();
        html::push_html(&mut rendered, events);
        Self(rendered)
    }

    /// The HTML.
    pub fn as_html(&self) -> &str {
        &self.0
    }
}

fn harmless(event: Event<'_>) -> Option<Event<'_>> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        Event::Start(Tag::Link {
            link_type,
            dest_url,
            title,
            id,
        }) => {
            let dest_url = if leads_to_a_page(&dest_url) {
                dest_url
            } else {
                "".into()
            };
            Some(Event::Start(Tag::Link {
                link_type,
                dest_url,
                title,
                id,
            }))
        }
        other => Some(other),
    }
}

fn leads_to_a_page(target: &str) -> bool {
    let known = ["https://", "http://", "mailto:"];
    known.iter().any(|scheme| target.starts_with(scheme))
        || target.starts_with('#')
        || (target.starts_with('/') && !target.starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(markdown: &str) -> String {
        AgreementHtml::from_markdown(markdown).as_html().to_owned()
    }

    #[test]
    fn the_first_heading_is_left_to_the_page() {
        assert_eq!(
            html("# Terms\n\nOne *two*.\n\n## Three"),
            "<p>One <em>two</em>.</p>\n<h2>Three</h2>\n"
        );
    }

    #[test]
    fn html_in_the_source_is_text() {
        let shown =
            html("a <script>alert(1)</script>\n\n<img src=x onerror=y>\n\n![x](https://e.com/x)");
        assert!(
            !shown.contains("<script") && !shown.contains("<img"),
            "{shown}"
        );
        assert!(shown.contains("&lt;script&gt;"));
    }

    #[test]
    fn links_lead_to_pages_only() {
        let shown = html("[a](javascript:alert(1)) [b](https://b.example) [c](//d.example)");
        assert!(
            !shown.contains("javascript") && !shown.contains("//d.example"),
            "{shown}"
        );
        assert!(shown.contains("href=\"https://b.example\""));
    }
}
