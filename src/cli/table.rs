//! What commands print of the admin API's answers: tables, days, cells.

use serde_json::Value;

use crate::clock::Timestamp;

/// Escapes an id for a path.
pub fn in_path(id: &str) -> String {
    let mut url = url::Url::parse("http://localhost/").ok();
    let path = url.as_mut().and_then(|url| {
        url.path_segments_mut().ok()?.pop_if_empty().push(id);
        Some(url.path().trim_start_matches('/').to_owned())
    });
    path.unwrap_or_default()
}

/// Rows in columns, as wide as needed.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widths = cells.map(|cell| cell.chars().count());
        let own = heading.get(column).map_or(0, |text| text.len());
        widths.chain([own]).max().unwrap_or_default()
    };
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().enumerate().map(|(column, cell)| {
            let missing = width(column).saturating_sub(cell.chars().count());
            format!("{cell}{}", " ".repeat(missing))
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(heading.to_vec());
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

/// A member of an answer as a cell.
pub fn cell(of: &Value, key: &str) -> String {
    of.get(key).map_or_else(|| "-".to_owned(), plain)
}

/// A value without control characters, which would rule the terminal.
pub fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A time in an answer as the day that it is in.
pub fn day(of: &Value, key: &str) -> String {
    let millis = of.get(key).and_then(Value::as_i64);
    let day = millis.map(|millis| Timestamp::from_millis(millis).day());
    day.unwrap_or_else(|| "-".to_owned())
}

/// A time in an answer, with day and time.
pub fn moment(of: &Value, key: &str) -> String {
    let millis = of.get(key).and_then(Value::as_i64);
    let moment = millis.map(|millis| Timestamp::from_millis(millis).rfc3339());
    moment.unwrap_or_else(|| "-".to_owned())
}

/// The items of an answer that is a list.
pub fn items(answer: &Value) -> &[Value] {
    let items = answer.get("items").and_then(Value::as_array);
    items.map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_and_ids_stay_one_segment() {
        let rows = vec![
            vec!["1".to_owned(), "Änne".to_owned()],
            vec!["200".to_owned(), "Bo".to_owned()],
        ];
        assert_eq!(
            table(&["id", "name"], &rows),
            "id   name\n1    Änne\n200  Bo\n"
        );
        assert_eq!(in_path("a/b?c"), "a%2Fb%3Fc");
        assert_eq!(in_path(".."), "");
        assert_eq!(plain(&Value::from("a\u{1b}[2J")), "a[2J");
    }
}
