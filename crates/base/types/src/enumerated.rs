//! Enums that know their own variants.

/// Declares an enum and, as `ALL`, the list of its variants, so that neither can be without the other.
macro_rules! enumerated {
    ($(#[$of_enum:meta])* pub enum $name:ident { $($(#[$of_variant:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$of_enum])*
        pub enum $name {
            $($(#[$of_variant])* $variant),+
        }

        impl $name {
            /// Every one, in the order of their declaration.
            pub const ALL: [Self; [$(Self::$variant),+].len()] = [$(Self::$variant),+];
        }
    };
}

pub(crate) use enumerated;
