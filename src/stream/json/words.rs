//! Members whose value is one of a few words.

/// Declares an enum of words; a value that is none of them is refused with the text that `$refuse` makes of it.
macro_rules! words {
    (
        $(#[$meta:meta])* $name:ident, $refuse:expr,
        { $(#[$first_meta:meta])* $first:ident $first_word:literal, $($(#[$variant_meta:meta])* $variant:ident $word:literal,)* }
        $(also { $($alias:literal => $target:ident),* })?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[$first_meta])* #[default] $first,
            $($(#[$variant_meta])* $variant,)*
        }

        impl $name {
            /// All of them with their words.
            pub const ALL: &'static [(Self, &'static str)] =
                &[(Self::$first, $first_word), $((Self::$variant, $word),)*];

            /// The word that stands for it in JSON.
            pub fn word(self) -> &'static str {
                match self {
                    Self::$first => $first_word,
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl $crate::stream::json::Value for $name {
            fn read(&mut self, json: $crate::stream::json::Json<'_>) -> Result<(), $crate::stream::json::Problem> {
                let word = json.text().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                let known = match word {
                    $($(Some($alias) => Some(Self::$target),)*)?
                    word => Self::ALL.iter().find(|(_, known)| Some(*known) == word).map(|(value, _)| *value),
                };
                let refuse: fn(&str) -> String = $refuse;
                *self = known.ok_or_else(|| $crate::stream::json::Problem::Impossible(refuse(json.text())))?;
                Ok(())
            }

            fn is_unset(&self) -> bool {
                *self == Self::default()
            }

            fn write(&self) -> serde_json::Value {
                self.word().into()
            }
        }
    };
}
pub(in crate::stream) use words;

/// The refusal of most words.
pub(in crate::stream) fn can_not_unmarshal(text: &str) -> String {
    format!("can not unmarshal {}", super::problem::quoted(text))
}
