//! Fractions of whole numbers of any size: slow, and right by the look of it.

use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Sub};

use num_bigint::BigInt;

/// A fraction in lowest terms; the denominator is positive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rational {
    numerator: BigInt,
    denominator: BigInt,
}

impl Rational {
    pub(super) fn new(numerator: impl Into<BigInt>, denominator: impl Into<BigInt>) -> Rational {
        let (numerator, denominator) = (numerator.into(), denominator.into());
        assert!(denominator > BigInt::ZERO);
        let (mut divisor, mut rest) = (denominator.clone(), &numerator % &denominator);
        while rest != BigInt::ZERO {
            (divisor, rest) = (rest.clone(), divisor % rest);
        }
        if divisor < BigInt::ZERO {
            divisor = -divisor;
        }
        Rational { numerator: numerator / &divisor, denominator: denominator / divisor }
    }

    pub(super) fn whole(number: u64) -> Rational {
        Rational::new(number, 1)
    }

    /// The highest whole number that is not over it; it is not negative.
    pub(super) fn floor(&self) -> u64 {
        assert!(self.numerator >= BigInt::ZERO);
        (&self.numerator / &self.denominator).try_into().expect("it fits 64 bits")
    }

    /// The lowest whole number that is not under it; it is not negative.
    pub(super) fn ceiling(&self) -> u64 {
        let floor = self.floor();
        if Rational::whole(floor) == *self { floor } else { floor + 1 }
    }
}

impl Add for &Rational {
    type Output = Rational;

    fn add(self, other: &Rational) -> Rational {
        let numerator = &self.numerator * &other.denominator + &other.numerator * &self.denominator;
        Rational::new(numerator, &self.denominator * &other.denominator)
    }
}

impl Sub for &Rational {
    type Output = Rational;

    fn sub(self, other: &Rational) -> Rational {
        let numerator = &self.numerator * &other.denominator - &other.numerator * &self.denominator;
        Rational::new(numerator, &self.denominator * &other.denominator)
    }
}

impl Mul for &Rational {
    type Output = Rational;

    fn mul(self, other: &Rational) -> Rational {
        Rational::new(&self.numerator * &other.numerator, &self.denominator * &other.denominator)
    }
}

impl Div for &Rational {
    type Output = Rational;

    fn div(self, other: &Rational) -> Rational {
        Rational::new(&self.numerator * &other.denominator, &self.denominator * &other.numerator)
    }
}

impl PartialOrd for Rational {
    fn partial_cmp(&self, other: &Rational) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rational {
    fn cmp(&self, other: &Rational) -> Ordering {
        (&self.numerator * &other.denominator).cmp(&(&other.numerator * &self.denominator))
    }
}
