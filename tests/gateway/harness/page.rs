//! What a browser shows, and what a person does with it.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Method, StatusCode, header::HeaderMap};
use scraper::{ElementRef, Html, Selector};
use url::Url;

use super::browser::{Browser, Referring};

/// A page that a navigation ended at, with what was typed into it.
#[derive(Debug, Clone)]
pub struct Page {
    browser: Browser,
    url: Url,
    status: StatusCode,
    headers: HeaderMap,
    body: String,
    hops: Vec<Url>,
    typed: BTreeMap<String, Typed>,
}

#[derive(Debug, Clone)]
enum Typed {
    Value(String),
    Unticked,
}

impl Page {
    /// Reads an answer to its end.
    pub async fn read(browser: Browser, answer: reqwest::Response, hops: Vec<Url>) -> Self {
        Self {
            browser,
            url: hops.last().expect("at least one hop").clone(),
            status: answer.status(),
            headers: answer.headers().clone(),
            body: answer.text().await.expect("a body"),
            hops,
            typed: BTreeMap::new(),
        }
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// A header of the answer, empty if absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("an ASCII header"))
    }

    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub fn body(&self) -> &str {
        &self.body
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:#?}"))
    }

    /// Every address on the way here.
    pub fn hops(&self) -> &[Url] {
        &self.hops
    }

    /// What a person reads, with single spaces.
    pub fn text(&self) -> String {
        let document = self.document();
        let shown = document
            .root_element()
            .descendent_elements()
            .filter(|element| {
                !matches!(
                    element.value().name(),
                    "script" | "style" | "title" | "head"
                )
            });
        let own_text = |element: ElementRef<'_>| {
            let texts = element
                .children()
                .filter_map(|child| child.value().as_text().map(|t| t.to_string()));
            texts.collect::<Vec<_>>()
        };
        let words = shown.flat_map(own_text).collect::<Vec<_>>().join(" ");
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Texts of all elements that a CSS selector finds.
    pub fn all(&self, selector: &str) -> Vec<String> {
        self.document()
            .select(&css(selector))
            .map(words_of)
            .collect()
    }

    /// Asserts path and query, and success.
    #[track_caller]
    pub fn lands_on(self, path_and_query: &str) -> Self {
        let here = &self.url[url::Position::BeforePath..url::Position::AfterQuery];
        assert_eq!(
            here,
            path_and_query,
            "landed elsewhere, by {:#?}\n{}",
            self.hops,
            self.text()
        );
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        self
    }

    /// Asserts that a person reads this.
    #[track_caller]
    pub fn shows(self, words: &str) -> Self {
        assert!(
            self.text().contains(words),
            "{words:?} is not on {}: {}",
            self.url,
            self.text()
        );
        self
    }

    /// Asserts the status.
    #[track_caller]
    pub fn has_status(self, status: u16) -> Self {
        assert_eq!(self.status(), status, "{}: {}", self.url, self.text());
        self
    }

    /// Types into a field, or picks from a list, found by its label or its name.
    #[must_use]
    #[track_caller]
    pub fn fill(mut self, field: &str, value: &str) -> Self {
        let name = self.field_name(field);
        let value = self
            .option_value(&name, value)
            .unwrap_or_else(|| value.to_owned());
        self.typed.insert(name, Typed::Value(value));
        self
    }

    /// Adds a field to the form for an address, as a script of the page would.
    #[must_use]
    pub fn with_scripted_field(mut self, name: &str, value: &str) -> Self {
        let end = "<p class=\"actions\">";
        let field = format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">{end}");
        assert!(self.body.contains(end), "no form on {}", self.url);
        self.body = self.body.replacen(end, &field, 1);
        self
    }

    /// Ticks a box, found by its label or its name.
    #[must_use]
    #[track_caller]
    pub fn tick(mut self, field: &str) -> Self {
        let name = self.field_name(field);
        let document = self.document();
        let ticked = document
            .select(&css(&format!("input[name='{name}']")))
            .next();
        let value = ticked
            .and_then(|element| element.attr("value"))
            .unwrap_or("on")
            .to_owned();
        self.typed.insert(name, Typed::Value(value));
        self
    }

    /// Takes the tick out of a box.
    #[must_use]
    #[track_caller]
    pub fn untick(mut self, field: &str) -> Self {
        let name = self.field_name(field);
        self.typed.insert(name, Typed::Unticked);
        self
    }

    /// What stands in a field, typed or given; `None` if there is no such field.
    pub fn value_of(&self, field: &str) -> Option<String> {
        let document = self.document();
        let name = self.find_field(field)?;
        let element = document.select(&css(&format!("[name='{name}']"))).next()?;
        Some(
            self.current_values(element, &name)
                .pop()
                .unwrap_or_default(),
        )
    }

    /// Submits the form that was typed into, by its first button; else the first form of the page.
    pub async fn submit(self) -> Self {
        let (method, url, fields) = {
            let document = self.document();
            let form = self.form_in_use(&document);
            let button = form
                .select(&css("button:not([type=button]), input[type=submit]"))
                .next();
            self.submission(form, button)
        };
        self.go(method, url, fields).await
    }

    /// Presses the button with this text.
    pub async fn press(self, words: &str) -> Self {
        let (method, url, fields) = {
            let document = self.document();
            let button = document
                .select(&css("button"))
                .find(|button| words_of(*button).contains(words))
                .unwrap_or_else(|| panic!("no button {words:?} on {}: {}", self.url, self.text()));
            let form = form_of(&document, button).expect("the button has a form");
            self.submission(form, Some(button))
        };
        self.go(method, url, fields).await
    }

    /// Follows the link with this text.
    pub async fn follow(self, words: &str) -> Self {
        let url = {
            let document = self.document();
            let link = document
                .select(&css("a[href]"))
                .find(|link| words_of(*link).contains(words))
                .unwrap_or_else(|| panic!("no link {words:?} on {}: {}", self.url, self.text()));
            self.url
                .join(link.attr("href").unwrap_or(""))
                .expect("an address")
        };
        self.go(Method::GET, url, String::new()).await
    }

    /// Loads the page again, as the refresh of a waiting page does, until it leads to `path`.
    pub async fn waits_until_on(self, path_and_query: &str) -> Self {
        let mut page = self;
        for _ in 0..300 {
            if page.url[url::Position::BeforePath..url::Position::AfterQuery] == *path_and_query {
                return page.lands_on(path_and_query);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            let next = page
                .refresh()
                .map_or_else(|| page.url.clone(), |(_, url)| url);
            page = page.go(Method::GET, next, String::new()).await;
        }
        page.lands_on(path_and_query)
    }

    /// Logs in at the form of the OpenID provider of `tests/services`.
    pub async fn login_at_provider(self, login: &str) -> Self {
        let page = self.shows("Sign-in");
        page.fill("login", login)
            .fill("password", "any")
            .submit()
            .await
    }

    /// Where the page goes by itself without waiting.
    pub fn refreshes_at_once_to(&self) -> Option<Url> {
        self.refresh()
            .filter(|(seconds, _)| *seconds == 0)
            .map(|(_, url)| url)
    }

    pub fn as_referring(&self) -> Referring {
        Referring {
            url: self.url.clone(),
            policy: self.header("referrer-policy").to_owned(),
        }
    }

    fn refresh(&self) -> Option<(u32, Url)> {
        let document = self.document();
        let in_page = document
            .select(&css("meta[http-equiv]"))
            .find(|meta| {
                meta.attr("http-equiv")
                    .is_some_and(|v| v.eq_ignore_ascii_case("refresh"))
            })
            .and_then(|meta| meta.attr("content").map(str::to_owned));
        let rule = in_page.unwrap_or_else(|| self.header("refresh").to_owned());
        let (seconds, target) = rule.split_once(';').unwrap_or((&rule, ""));
        let target = target.trim();
        let target = target
            .get(..4)
            .filter(|t| t.eq_ignore_ascii_case("url="))
            .map_or("", |_| &target[4..]);
        let url = self
            .url
            .join(target.trim_matches(['\'', '"']))
            .expect("an address to refresh to");
        Some((seconds.trim().parse().ok()?, url))
    }

    /// The page as a browser without JavaScript reads it, which is with `noscript` taken in.
    fn document(&self) -> Html {
        Html::parse_document(
            &self
                .body
                .replace("<noscript>", "")
                .replace("</noscript>", ""),
        )
    }

    #[track_caller]
    fn field_name(&self, field: &str) -> String {
        self.find_field(field)
            .unwrap_or_else(|| panic!("no field {field:?} on {}:\n{}", self.url, self.body))
    }

    fn find_field(&self, field: &str) -> Option<String> {
        let document = self.document();
        let by_name = document
            .select(&css("[name]"))
            .find(|e| e.attr("name") == Some(field));
        if by_name.is_some() {
            return Some(field.to_owned());
        }
        let label = document
            .select(&css("label"))
            .find(|label| words_of(*label).starts_with(field))?;
        let labelled = match label.attr("for") {
            Some(id) => document
                .select(&css("[id]"))
                .find(|e| e.attr("id") == Some(id)),
            None => label.select(&css("[name]")).next(),
        };
        labelled?.attr("name").map(str::to_owned)
    }

    /// The value of a list's option that has this text.
    fn option_value(&self, name: &str, words: &str) -> Option<String> {
        let document = self.document();
        let options = css(&format!("select[name='{name}'] option"));
        let chosen = document
            .select(&options)
            .find(|option| words_of(*option) == words)?;
        Some(
            chosen
                .attr("value")
                .map_or_else(|| words.to_owned(), str::to_owned),
        )
    }

    fn form_in_use<'a>(&self, document: &'a Html) -> ElementRef<'a> {
        let typed_in = |form: &ElementRef<'_>| {
            form.select(&css("[name]"))
                .any(|e| self.typed.contains_key(e.attr("name").unwrap_or("")))
        };
        let forms = css("form");
        document
            .select(&forms)
            .find(typed_in)
            .or_else(|| document.select(&css("main form")).next())
            .or_else(|| document.select(&forms).next())
            .unwrap_or_else(|| panic!("no form on {}: {}", self.url, self.text()))
    }

    fn submission(
        &self,
        form: ElementRef<'_>,
        button: Option<ElementRef<'_>>,
    ) -> (Method, Url, String) {
        let mut fields = url::form_urlencoded::Serializer::new(String::new());
        for element in form.select(&css("input[name], select[name], textarea[name]")) {
            let name = element.attr("name").unwrap_or("");
            for value in self.current_values(element, name) {
                fields.append_pair(name, &value);
            }
        }
        if let Some((name, button)) = button.and_then(|b| Some((b.attr("name")?, b))) {
            fields.append_pair(name, button.attr("value").unwrap_or(""));
        }
        let action = button
            .and_then(|b| b.attr("formaction"))
            .or(form.attr("action"))
            .unwrap_or("");
        let url = self.url.join(action).expect("an action that parses");
        let is_post = form
            .attr("method")
            .is_some_and(|method| method.eq_ignore_ascii_case("post"));
        (
            if is_post { Method::POST } else { Method::GET },
            url,
            fields.finish(),
        )
    }

    /// What one control contributes to the form: nothing, or one value.
    fn current_values(&self, element: ElementRef<'_>, name: &str) -> Vec<String> {
        let given = element.attr("value").unwrap_or("").to_owned();
        let typed = self.typed.get(name);
        match (
            element.value().name(),
            element.attr("type").unwrap_or("text"),
        ) {
            _ if element.attr("disabled").is_some() => Vec::new(),
            (_, "submit" | "button" | "reset" | "image") => Vec::new(),
            ("input", "checkbox" | "radio") => {
                let given = if element.attr("value").is_some() {
                    given
                } else {
                    "on".to_owned()
                };
                let on = match typed {
                    Some(Typed::Value(value)) => *value == given,
                    Some(Typed::Unticked) => false,
                    None => element.attr("checked").is_some(),
                };
                if on { vec![given] } else { Vec::new() }
            }
            (kind, _) => match typed {
                Some(Typed::Value(value)) => vec![value.clone()],
                _ if kind == "select" => selected(element),
                _ if kind == "textarea" => vec![element.text().collect()],
                _ => vec![given],
            },
        }
    }

    async fn go(self, method: Method, mut url: Url, fields: String) -> Self {
        let from = Some(self.as_referring());
        if method == Method::GET {
            if !fields.is_empty() {
                url.set_query(Some(&fields));
            }
            return self.browser.navigate(method, url, None, from).await;
        }
        self.browser.navigate(method, url, Some(fields), from).await
    }
}

/// The form that a button submits: the one it names, else the one it is in.
fn form_of<'a>(document: &'a Html, button: ElementRef<'a>) -> Option<ElementRef<'a>> {
    if let Some(id) = button.attr("form") {
        return document
            .select(&css("form"))
            .find(|form| form.attr("id") == Some(id));
    }
    let around = button.ancestors().filter_map(ElementRef::wrap);
    around
        .into_iter()
        .find(|element| element.value().name() == "form")
}

fn selected(list: ElementRef<'_>) -> Vec<String> {
    let option = list
        .select(&css("option[selected]"))
        .next()
        .or_else(|| list.select(&css("option")).next());
    let value = option.map(|o| o.attr("value").map_or_else(|| words_of(o), str::to_owned));
    value.into_iter().collect()
}

fn words_of(element: ElementRef<'_>) -> String {
    let text: String = element.text().collect::<Vec<_>>().join(" ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn css(selector: &str) -> Selector {
    Selector::parse(selector).expect("a selector that parses")
}
