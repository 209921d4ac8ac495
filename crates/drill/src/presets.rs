//! Plans that come with the drill. They are plans like any other, read by the same reader.

/// A plan that comes with the drill.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// How it is asked for.
    pub name: &'static str,
    /// The plan.
    pub text: &'static str,
}

macro_rules! preset {
    ($name:literal) => {
        Preset { name: $name, text: include_str!(concat!("../presets/", $name, ".toml")) }
    };
}

/// All of them.
pub const PRESETS: &[Preset] = &[
    preset!("tabs-10"),
    preset!("twenty"),
    preset!("fifty"),
    preset!("steps"),
    preset!("long-15m"),
    preset!("incident"),
    preset!("deploy"),
    preset!("flaky-network"),
    preset!("soak-24h"),
];

#[cfg(test)]
mod tests {
    use outlast_config::SourceText;

    use super::*;
    use crate::read::read_plan;

    #[test]
    fn the_example_is_a_plan() {
        let text = include_str!("../../../examples/release-gate/plan.toml");
        let plan = read_plan(&SourceText::new("plan.toml", text)).unwrap();
        assert_eq!(plan.schedule(1).len(), 50);
    }

    #[test]
    fn each_is_a_plan_of_its_name_with_a_story_and_thresholds() {
        for preset in PRESETS {
            let plan = read_plan(&SourceText::new(preset.name, preset.text));
            let plan = plan.unwrap_or_else(|errors| panic!("{}: {errors:?}", preset.name));
            assert_eq!(plan.name, preset.name);
            assert!(!plan.story.is_empty() && !plan.hold.is_empty(), "{}", preset.name);
            assert!(!plan.schedule(1).is_empty());
        }
    }
}
