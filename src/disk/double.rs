//! A disk that forgets: a double for tests.
