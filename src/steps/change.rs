//! From what there is to what there is to be. What undoes a change is the same the other way round.

/// A value that becomes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<T> {
    /// What it is.
    pub from: T,
    /// What it is to be.
    pub to: T,
}

/// An object that comes or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence<T> {
    /// It is not there, and is to be.
    Add(T),
    /// It is there, and is not to be.
    Remove(T),
}

/// An object that comes, goes, or takes the place of another in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update<T> {
    /// It is not there, and is to be.
    Add(T),
    /// It is there, and is not to be.
    Remove(T),
    /// Another is there in its place.
    Replace(Change<T>),
}

impl<T: Clone> Change<T> {
    /// The way back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self { from: self.to.clone(), to: self.from.clone() }
    }
}

impl<T: Clone> Presence<T> {
    /// The way back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        match self {
            Self::Add(object) => Self::Remove(object.clone()),
            Self::Remove(object) => Self::Add(object.clone()),
        }
    }
}

impl<T> Presence<T> {
    /// The object itself, coming or going.
    pub fn object(&self) -> &T {
        match self {
            Self::Add(object) | Self::Remove(object) => object,
        }
    }
}

impl<T: Clone> Update<T> {
    /// What makes `to` out of what may be there in its place.
    pub fn to(from: Option<T>, to: T) -> Self {
        match from {
            Some(from) => Self::Replace(Change { from, to }),
            None => Self::Add(to),
        }
    }

    /// The way back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        match self {
            Self::Add(object) => Self::Remove(object.clone()),
            Self::Remove(object) => Self::Add(object.clone()),
            Self::Replace(change) => Self::Replace(change.inverse()),
        }
    }
}

impl<T> Update<T> {
    /// What is there; none where nothing is.
    pub fn former(&self) -> Option<&T> {
        match self {
            Self::Remove(from) | Self::Replace(Change { from, .. }) => Some(from),
            Self::Add(_) => None,
        }
    }

    /// What is to be there; none where it goes.
    pub fn wanted(&self) -> Option<&T> {
        match self {
            Self::Add(to) | Self::Replace(Change { to, .. }) => Some(to),
            Self::Remove(_) => None,
        }
    }
}
