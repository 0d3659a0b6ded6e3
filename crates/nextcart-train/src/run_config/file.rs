//! Configurations on disk.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use nextcart_adapters::Init;
use serde_json::value::RawValue;
use toml::de::DeTable;

use super::{DataConfig, RunConfig};
use crate::config::wrong;
use crate::error::{Error, Result, dotted, io};

#[derive(Clone, Copy)]
enum Format {
    Toml,
    Json,
}

impl Format {
    fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Ok(Self::Toml),
            Some("json") => Ok(Self::Json),
            _ => Err(Error::ConfigFormat { path: path.to_owned() }),
        }
    }
}

impl RunConfig {
    /// Reads a file that ends in `.toml` or `.json`, and checks every field's range.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::ConfigFormat`] for another ending; [`Error::ConfigFile`], with file, line and field,
    /// for what does not parse, is unknown or lies outside its range.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let format = Format::of(path)?;
        let text = fs::read_to_string(path).map_err(io(path))?;
        let config = parse(path, format, &text)?;
        config.check(path, format, &text)?;
        Ok(config)
    }

    /// Writes a file that ends in `.toml` or `.json`, every field in it.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::ConfigFormat`] for another ending; [`Error::Config`] if a folder's name is not UTF-8, as
    /// such a file must be.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let format = Format::of(path)?;
        let folders = [("data", "folder", &self.data.folder), ("", "output", &self.output)];
        for (section, field, folder) in folders {
            if folder.to_str().is_none() {
                return Err(wrong(section, field, "a path in UTF-8", folder.display()));
            }
        }
        let text = match format {
            Format::Toml => toml::to_string(self).expect("tables, texts and numbers"),
            Format::Json => {
                let json = |source| Error::Json { path: path.to_owned(), source };
                format!("{}\n", serde_json::to_string_pretty(self).map_err(json)?)
            }
        };
        crate::checkpoint::replace(path, text.as_bytes())
    }

    /// Checks every field's range.
    ///
    /// # Errors
    /// [`Error::Config`] with section and name of the first field outside its range.
    pub fn validate(&self) -> Result<()> {
        self.fault().map_or(Ok(()), |(section, field, expected, found)| {
            Err(Error::Config { section, field, expected, found })
        })
    }

    /// Section, name, expected and found value of the first field outside its range.
    fn fault(&self) -> Option<(&'static str, &'static str, String, String)> {
        let own = |result: Result<()>| match result {
            Err(Error::Config { section, field, expected, found }) => {
                Some((section, field, expected, found))
            }
            _ => None,
        };
        let lora = || match self.lora.validate() {
            Err(nextcart_adapters::Error::Config { field, expected, found }) => {
                Some(("lora", field, expected.to_owned(), found))
            }
            // LoftQ starts from what packing took from the weights.
            _ if self.lora.init == Init::Loftq && !self.model.quantized => {
                let expected = "another start than `loftq` where `model.quantized` is false";
                Some(("lora", "init", expected.to_owned(), "loftq".to_owned()))
            }
            _ => None,
        };
        let data = || match &self.data {
            DataConfig { history: Some(0), .. } => {
                Some(("data", "history", "at least 1".to_owned(), "0".to_owned()))
            }
            DataConfig { asked, held_out, .. } if asked > held_out => {
                let expected = format!("at most the {held_out} of `data.held_out`");
                Some(("data", "asked", expected, asked.to_string()))
            }
            _ => None,
        };
        let limit = || match self.memory_limit {
            Some(limit) if !(limit.is_finite() && limit > 0.0) => {
                Some(("", "memory_limit", "a positive number".to_owned(), limit.to_string()))
            }
            _ => None,
        };
        let training = own(self.training.validate());
        training.or_else(limit).or_else(data).or_else(|| own(self.watch.validate())).or_else(lora)
    }

    fn check(&self, path: &Path, format: Format, text: &str) -> Result<()> {
        self.fault().map_or(Ok(()), |(section, field, expected, found)| {
            Err(Error::ConfigFile {
                path: path.to_owned(),
                line: line_of(text, format, section, field),
                field: dotted(section, field),
                problem: format!("expected {expected}, found {found}"),
            })
        })
    }
}

fn parse(path: &Path, format: Format, text: &str) -> Result<RunConfig> {
    let wrong = |field: String, line: usize, problem: &str| Error::ConfigFile {
        path: path.to_owned(),
        line,
        field,
        problem: problem.to_owned(),
    };
    match format {
        Format::Toml => {
            let line = |error: &toml::de::Error| {
                let at = error.span().map_or(0, |span| span.start);
                1 + text[..at].matches('\n').count()
            };
            let reader = toml::Deserializer::parse(text)
                .map_err(|error| wrong(".".to_owned(), line(&error), error.message()))?;
            serde_path_to_error::deserialize(reader).map_err(|error| {
                let (field, cause) = (error.path().to_string(), error.inner());
                wrong(field, line(cause), cause.message())
            })
        }
        Format::Json => {
            let mut reader = serde_json::Deserializer::from_str(text);
            let config = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
                let (field, cause) = (error.path().to_string(), error.inner());
                wrong(field, cause.line(), &cause.to_string())
            })?;
            reader
                .end()
                .map_err(|error| wrong(".".to_owned(), error.line(), &error.to_string()))?;
            Ok(config)
        }
    }
}

/// The line on which the value of a field that parsed begins; that of its section where the field is left out, as its
/// default may not go with others. A field may be in no section, whose name is empty then.
fn line_of(text: &str, format: Format, section: &str, field: &str) -> usize {
    let at = match format {
        Format::Toml => place_in_toml(text, section, field),
        Format::Json => place_in_json(text, section, field),
    };
    1 + text[..at.unwrap_or(0)].matches('\n').count()
}

fn place_in_toml(text: &str, section: &str, field: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    if section.is_empty() {
        return Some(document.get_ref().get(field)?.span().start);
    }
    let section = document.get_ref().get(section)?;
    let value = section.get_ref().get(field);
    Some(value.unwrap_or(section).span().start)
}

fn place_in_json(text: &str, section: &str, field: &str) -> Option<usize> {
    type Object<'a> = HashMap<String, &'a RawValue>;
    // A raw value is a part of the text itself.
    let place = |value: &RawValue| value.get().as_ptr() as usize - text.as_ptr() as usize;
    let document: Object<'_> = serde_json::from_str(text).ok()?;
    if section.is_empty() {
        return document.get(field).copied().map(place);
    }
    let section = *document.get(section)?;
    let fields: Object<'_> = serde_json::from_str(section.get()).ok()?;
    Some(place(fields.get(field).copied().unwrap_or(section)))
}

impl std::str::FromStr for RunConfig {
    type Err = Error;

    /// Reads TOML; errors name the file `<text>`.
    fn from_str(text: &str) -> Result<Self> {
        let path = Path::new("<text>");
        let config = parse(path, Format::Toml, text)?;
        config.check(path, Format::Toml, text)?;
        Ok(config)
    }
}
