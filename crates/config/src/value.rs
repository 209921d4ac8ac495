//! TOML values as numbers, as kinds, and as the text that Go makes of them.

use toml::Spanned;
use toml::de::DeValue;

/// A whole number, also when written as a float.
pub(crate) fn integer_of(value: &DeValue<'_>) -> Option<i64> {
    match value {
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok(),
        DeValue::Float(float) => whole(float.as_str().parse().ok()?),
        _ => None,
    }
}

/// The number, if it has no fraction and 64 bits hold it.
fn whole(float: f64) -> Option<i64> {
    // Beyond 2⁵³ a float no longer means one integer.
    let exact = float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0;
    exact.then(|| truncated(float)).flatten()
}

/// The number without its fraction, if 64 bits hold it.
pub(crate) fn truncated(float: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "the range was just checked")]
    (float.abs() < 9.2e18).then_some(float as i64)
}

/// `an integer`, `a string`, …
pub(crate) fn kind_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The value as Go prints it by `%v`: numbers in decimal, lists as `[a b]`, tables as `map[k:v]`.
pub(crate) fn go_string(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(integer) => {
            integer_of(value).map_or_else(|| integer.to_string(), |number| number.to_string())
        }
        DeValue::Float(float) => go_float(float.as_str()),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| go_string(item.get_ref())).collect();
            format!("[{}]", items.join(" "))
        }
        DeValue::Table(table) => {
            let entry = |(key, value): (&Spanned<_>, &Spanned<_>)| {
                format!("{}:{}", key.get_ref(), go_string(value.get_ref()))
            };
            let entries: Vec<_> = table.iter().map(entry).collect();
            format!("map[{}]", entries.join(" "))
        }
    }
}

/// Go's shortest form: exponents below 1e-4 and from 1e21 on, `+Inf` and `NaN`.
fn go_float(text: &str) -> String {
    let Ok(number) = text.parse::<f64>() else { return text.to_owned() };
    let size = number.abs();
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if size != 0.0 && !(1e-4..1e21).contains(&size) {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) =
            exponent.strip_prefix('-').map_or(("+", exponent), |digits| ("-", digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_strings_as_in_go() {
        let table = [
            ("10002", "10002"),
            ("0x1F", "31"),
            ("1_000", "1000"),
            ("true", "true"),
            ("1.0", "1"),
            ("0.2", "0.2"),
            ("1e21", "1e+21"),
            ("1.5e-7", "1.5e-07"),
            ("inf", "+Inf"),
            ("-inf", "-Inf"),
            ("nan", "NaN"),
            ("'x'", "x"),
            ("[1, 'a', [2]]", "[1 a [2]]"),
            ("{b = 1, a = true}", "map[a:true b:1]"),
            ("2026-01-02", "2026-01-02"),
        ];
        for (text, want) in table {
            let value = DeValue::parse(text).unwrap();
            assert_eq!(go_string(value.get_ref()), want, "{text}");
        }
    }
}
