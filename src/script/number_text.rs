//! The text of doubles as C prints it with `%.14g` and its kin, which is how Lua and its libraries write numbers.

/// The text of `value` with so many significant digits.
pub(crate) fn general_text(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan" } else { "nan" }.to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.unsigned_abs());
    }
    let decimals = (digits as i32 - 1 - exponent) as usize;
    without_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::general_text;

    #[test]
    fn texts_are_those_of_c() {
        for (value, digits, text) in [
            (0.1, 17, "0.10000000000000001"),
            (0.1, 14, "0.1"),
            (3.5, 17, "3.5"),
            (1e15, 14, "1e+15"),
            (1e14, 14, "1e+14"),
            (12_345_678_901_234.0, 14, "12345678901234"),
            (1e-5, 14, "1e-05"),
            (0.0001, 14, "0.0001"),
            (1.5e300, 17, "1.5000000000000001e+300"),
            (-2.5, 17, "-2.5"),
            (-0.0, 17, "-0"),
            (f64::NEG_INFINITY, 17, "-inf"),
            (9.999_999_999_999_99e9, 14, "10000000000"),
        ] {
            assert_eq!(general_text(value, digits), text);
        }
    }
}
