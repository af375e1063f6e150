//! Sizes that follow from unknown sizes, as the names of dimensions: `=2*time`, `=first+second`, `=floor((time-1)/2)`.
//!
//! A name that begins with `=` is a sum of products in one fixed order, so that equal sums have equal names. It is
//! evaluated when a batch is bound.
use std::{collections::BTreeMap, fmt::Write as _};

use crate::shape::Dimension;

/// A sum of products of unknown sizes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expression(BTreeMap<Vec<Atom>, i64>);

/// What products are made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Atom {
    /// The name of an unknown size.
    Name(String),
    /// A quotient, rounded down; with `exact` it must be whole.
    Quotient { of: String, by: String, exact: bool },
}

/// What is said of sizes beyond what can be counted.
const TOO_LARGE: &str = "a dimension is too large";

/// Products of a sum, and factors of a product, that there are at most.
const TERMS: usize = 64;

/// Characters of names that stand without quotes.
fn is_plain(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | ':' | '.')
}

impl Atom {
    fn text(&self) -> String {
        match self {
            Self::Name(name) => {
                let begins = name.starts_with(|first: char| !first.is_ascii_digit());
                let plain = begins && name.chars().all(is_plain) && name != "floor" && name != "exact";
                if plain { name.clone() } else { format!("`{}`", name.replace('`', "``")) }
            }
            Self::Quotient { of, by, exact } => {
                format!("{}(({of})/({by}))", if *exact { "exact" } else { "floor" })
            }
        }
    }
}

impl Expression {
    /// A known size.
    ///
    /// # Errors
    /// If it is too large.
    pub fn size(size: usize) -> Result<Self, String> {
        let size = i64::try_from(size).map_err(|_| TOO_LARGE.to_owned())?;
        Ok(Self::whole(size))
    }

    /// A whole number.
    #[must_use]
    pub fn whole(number: i64) -> Self {
        Self(BTreeMap::from([(Vec::new(), number)]).into_iter().filter(|(_, number)| *number != 0).collect())
    }

    fn atom(atom: Atom) -> Self {
        Self(BTreeMap::from([(vec![atom], 1)]))
    }

    /// What a dimension stands for.
    ///
    /// # Errors
    /// If it is too large.
    pub fn of(dimension: &Dimension) -> Result<Self, String> {
        match dimension {
            Dimension::Size(size) => Self::size(*size),
            Dimension::Symbol(name) => {
                let parsed = name.strip_prefix('=').and_then(|text| Parser::parse(text, 0));
                Ok(parsed.unwrap_or_else(|| Self::atom(Atom::Name(name.clone()))))
            }
        }
    }

    /// The product of dimensions.
    ///
    /// # Errors
    /// If it is too large.
    pub fn product(dimensions: &[Dimension]) -> Result<Self, String> {
        dimensions.iter().try_fold(Self::whole(1), |product, dimension| product.times(&Self::of(dimension)?))
    }

    /// The sum.
    ///
    /// # Errors
    /// If it is too large.
    pub fn plus(&self, other: &Self) -> Result<Self, String> {
        let mut sum = self.clone();
        for (atoms, factor) in &other.0 {
            let entry = sum.0.entry(atoms.clone()).or_insert(0);
            *entry = entry.checked_add(*factor).ok_or(TOO_LARGE)?;
        }
        sum.0.retain(|_, factor| *factor != 0);
        Ok(sum)
    }

    /// The product.
    ///
    /// # Errors
    /// If it is too large.
    pub fn times(&self, other: &Self) -> Result<Self, String> {
        let mut product = Self::default();
        for (left, factor) in &self.0 {
            for (right, other) in &other.0 {
                let mut atoms = [left.as_slice(), right].concat();
                atoms.sort();
                let factor = factor.checked_mul(*other).ok_or(TOO_LARGE)?;
                if product.0.len() >= TERMS || atoms.len() > TERMS {
                    return Err(TOO_LARGE.to_owned());
                }
                product = product.plus(&Self(BTreeMap::from([(atoms, factor)])))?;
            }
        }
        Ok(product)
    }

    /// The quotient, rounded down; with `exact` it must be whole when a batch is bound. `None` if it is known not to be,
    /// or the divisor is 0.
    #[must_use]
    pub fn over(&self, divisor: &Self, exact: bool) -> Option<Self> {
        if let (Some(of), Some(by)) = (self.number(), divisor.number()) {
            return (by > 0 && (!exact || of % by == 0)).then(|| Self::whole(of.div_euclid(by)));
        }
        if divisor.number() == Some(0) {
            return None;
        }
        if let Some(quotient) = self.cancelled(divisor) {
            return Some(quotient);
        }
        Some(Self::atom(Atom::Quotient { of: self.text(), by: divisor.text(), exact }))
    }

    /// The quotient if the divisor is one product that is in every product of the sum.
    fn cancelled(&self, divisor: &Self) -> Option<Self> {
        let [(by, number)] = divisor.0.iter().collect::<Vec<_>>()[..] else { return None };
        let parts = self.0.iter().map(|(atoms, factor)| {
            let mut left = atoms.clone();
            for atom in by {
                left.remove(left.iter().position(|other| other == atom)?);
            }
            (factor % number == 0).then(|| (left, factor / number))
        });
        parts.collect::<Option<BTreeMap<_, _>>>().map(Self)
    }

    /// Both without the unknown sizes that are factors of each, if each is one product.
    #[must_use]
    pub fn without_common(&self, other: &Self) -> (Self, Self) {
        let (left, right): (Vec<_>, Vec<_>) = (self.0.iter().collect(), other.0.iter().collect());
        let ([(left, factor)], [(right, other_factor)]) = (left.as_slice(), right.as_slice()) else {
            return (self.clone(), other.clone());
        };
        let (mut left, mut rest) = ((*left).clone(), Vec::new());
        for atom in *right {
            match left.iter().position(|own| own == atom) {
                Some(position) => drop(left.remove(position)),
                None => rest.push(atom.clone()),
            }
        }
        (Self(BTreeMap::from([(left, **factor)])), Self(BTreeMap::from([(rest, **other_factor)])))
    }

    /// The number, if nothing is unknown.
    fn number(&self) -> Option<i64> {
        match self.0.iter().collect::<Vec<_>>()[..] {
            [] => Some(0),
            [(atoms, number)] if atoms.is_empty() => Some(*number),
            _ => None,
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (atoms, factor) in &self.0 {
            let sign = if *factor < 0 { "-" } else { "+" };
            let size = factor.unsigned_abs();
            let names: Vec<_> = atoms.iter().map(Atom::text).collect();
            let shown = match (size, names.is_empty()) {
                (_, true) => size.to_string(),
                (1, false) => names.join("*"),
                (_, false) => format!("{size}*{}", names.join("*")),
            };
            let sign = if text.is_empty() && sign == "+" { "" } else { sign };
            // Writing to a string cannot fail.
            let _ = write!(text, "{sign}{shown}");
        }
        if text.is_empty() { "0".to_owned() } else { text }
    }

    /// The dimension.
    ///
    /// # Errors
    /// If it is known to be negative.
    pub fn dimension(&self) -> Result<Dimension, String> {
        if let Some(number) = self.number() {
            return usize::try_from(number).map(Dimension::Size).map_err(|_| format!("a dimension would be {number}"));
        }
        match self.0.iter().collect::<Vec<_>>()[..] {
            [(atoms, 1)] => match atoms.as_slice() {
                [Atom::Name(name)] => Ok(Dimension::Symbol(name.clone())),
                _ => Ok(Dimension::Symbol(format!("={}", self.text()))),
            },
            _ => Ok(Dimension::Symbol(format!("={}", self.text()))),
        }
    }

    fn evaluate(&self, size: &dyn Fn(&str) -> Option<usize>, depth: usize) -> Result<i64, String> {
        let mut sum = 0i64;
        for (atoms, factor) in &self.0 {
            let mut product = *factor;
            for atom in atoms {
                let value = match atom {
                    Atom::Name(name) => {
                        let size = size(name).ok_or_else(|| format!("the size of {name} is not known"))?;
                        i64::try_from(size).map_err(|_| TOO_LARGE.to_owned())?
                    }
                    Atom::Quotient { of, by, exact } => {
                        let part = |text: &str| match Parser::parse(text, depth + 1) {
                            Some(expression) => expression.evaluate(size, depth + 1),
                            None => Err(format!("{text} is no size")),
                        };
                        let (of, by) = (part(of)?, part(by)?);
                        if by <= 0 || (*exact && of % by != 0) {
                            return Err(format!("{of} elements cannot be divided by {by}"));
                        }
                        of.div_euclid(by)
                    }
                };
                product = product.checked_mul(value).ok_or(TOO_LARGE)?;
            }
            sum = sum.checked_add(product).ok_or(TOO_LARGE)?;
        }
        Ok(sum)
    }
}

/// The size of the dimension that a name stands for; `None` if it is no sum of products.
pub(crate) fn evaluate(name: &str, size: &dyn Fn(&str) -> Option<usize>) -> Option<Result<usize, String>> {
    let expression = Parser::parse(name.strip_prefix('=')?, 0)?;
    Some(expression.evaluate(size, 0).and_then(|size| usize::try_from(size).map_err(|_| format!("it would be {size}"))))
}

/// Quotients within quotients that are read at most.
const DEPTH: usize = 16;

/// Reads what [`Expression::text`] writes.
struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn parse(text: &'a str, depth: usize) -> Option<Expression> {
        let mut parser = Self { rest: text, depth };
        let sum = parser.sum()?;
        parser.rest.is_empty().then_some(sum)
    }

    fn skip(&mut self, text: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    fn sum(&mut self) -> Option<Expression> {
        let mut sum = Expression::default();
        let mut sign = if self.skip("-").is_some() { -1 } else { 1 };
        loop {
            sum = sum.plus(&self.product()?.times(&Expression::whole(sign)).ok()?).ok()?;
            sign = match (self.skip("+"), self.skip("-")) {
                (Some(()), _) => 1,
                (None, Some(())) => -1,
                (None, None) => return Some(sum),
            };
        }
    }

    fn product(&mut self) -> Option<Expression> {
        let mut product = self.factor()?;
        while self.skip("*").is_some() {
            product = product.times(&self.factor()?).ok()?;
        }
        Some(product)
    }

    fn factor(&mut self) -> Option<Expression> {
        if self.rest.starts_with(|first: char| first.is_ascii_digit()) {
            let end = self.rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(self.rest.len());
            let (number, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Some(Expression::whole(number.parse().ok()?));
        }
        for (name, exact) in [("floor((", false), ("exact((", true)] {
            if self.skip(name).is_some() {
                return self.quotient(exact);
            }
        }
        let name = if self.skip("`").is_some() { self.quoted()? } else { self.plain()? };
        Some(Expression::atom(Atom::Name(name)))
    }

    fn quotient(&mut self, exact: bool) -> Option<Expression> {
        if self.depth >= DEPTH {
            return None;
        }
        self.depth += 1;
        let of = self.sum()?.text();
        self.skip(")/(")?;
        let by = self.sum()?.text();
        self.skip("))")?;
        self.depth -= 1;
        Some(Expression::atom(Atom::Quotient { of, by, exact }))
    }

    fn plain(&mut self) -> Option<String> {
        let end = self.rest.find(|letter: char| !is_plain(letter)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!name.is_empty()).then(|| name.to_owned())
    }

    fn quoted(&mut self) -> Option<String> {
        let mut name = String::new();
        loop {
            let end = self.rest.find('`')?;
            name.push_str(&self.rest[..end]);
            self.rest = &self.rest[end + 1..];
            if self.skip("`").is_none() {
                return Some(name);
            }
            name.push('`');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Expression, evaluate};
    use crate::shape::Dimension;

    fn symbol(name: &str) -> Dimension {
        Dimension::Symbol(name.to_owned())
    }

    fn expression(dimension: &Dimension) -> Expression {
        Expression::of(dimension).unwrap()
    }

    fn size(name: &str) -> Option<usize> {
        match name {
            "time" => Some(7),
            "odd `name` (1)*2:1" => Some(3),
            "huge" => Some(1 << 40),
            _ => None,
        }
    }

    fn value(dimension: &Dimension) -> Result<usize, String> {
        let Dimension::Symbol(name) = dimension else { panic!("a symbol") };
        evaluate(name, &size).unwrap_or_else(|| Ok(size(name).unwrap()))
    }

    #[test]
    fn products_and_quotients_cancel() {
        let time = symbol("time");
        let four = expression(&time).times(&Expression::whole(4)).unwrap();
        assert_eq!(four.dimension().unwrap(), symbol("=4*time"));
        let again = Expression::of(&symbol("=4*time")).unwrap();
        assert_eq!(again.over(&Expression::whole(4), true).unwrap().dimension().unwrap(), time);
        assert_eq!(again.over(&expression(&time), true).unwrap().dimension().unwrap(), Dimension::Size(4));
        let half = expression(&time).over(&Expression::whole(2), false).unwrap().dimension().unwrap();
        assert_eq!(half, symbol("=floor((time)/(2))"));
        assert_eq!(value(&half), Ok(3));
        let exact = expression(&time).over(&Expression::whole(2), true).unwrap().dimension().unwrap();
        assert!(value(&exact).unwrap_err().contains("cannot be divided"));
        let twice = expression(&half).plus(&expression(&half)).unwrap().plus(&Expression::whole(-1)).unwrap();
        assert_eq!(value(&twice.dimension().unwrap()), Ok(5));
        assert_eq!(Expression::of(&twice.dimension().unwrap()).unwrap(), twice);
    }

    #[test]
    fn names_of_any_letters_are_kept_apart() {
        let odd = symbol("odd `name` (1)*2:1");
        let sum = expression(&odd).plus(&expression(&symbol("time"))).unwrap();
        let dimension = sum.dimension().unwrap();
        assert_eq!(value(&dimension), Ok(10));
        assert_eq!(expression(&dimension), sum);
        assert_eq!(
            sum.plus(&expression(&odd).times(&Expression::whole(-1)).unwrap()).unwrap().dimension().unwrap(),
            symbol("time")
        );
    }

    #[test]
    fn what_cannot_be_counted_is_an_error() {
        let huge = expression(&symbol("huge"));
        let square = huge.times(&huge).unwrap().dimension().unwrap();
        assert!(value(&square).is_err());
        let negative = expression(&symbol("time")).plus(&Expression::whole(-9)).unwrap().dimension().unwrap();
        assert!(value(&negative).unwrap_err().contains("-2"));
        assert!(Expression::whole(-1).dimension().is_err());
        assert!(Expression::whole(7).over(&Expression::whole(2), true).is_none());
        assert!(Expression::whole(7).over(&Expression::whole(0), false).is_none());
        assert!(evaluate("=2*", &size).is_none() && evaluate("time", &size).is_none());
        let deep = format!("={}time{}", "floor((".repeat(50), ")/(1))".repeat(50));
        assert!(evaluate(&deep, &size).is_none());
    }
}
