//! The things that the platform shows; invented.

use serde::Serialize;

/// A thing with its readings of the last twelve hours.
#[derive(Debug, Serialize)]
pub(super) struct Thing {
    /// Its number in links.
    pub(super) id: &'static str,
    /// What it is called.
    pub(super) name: &'static str,
    /// Where it stands.
    pub(super) place: &'static str,
    /// What is measured.
    pub(super) measures: &'static str,
    /// The unit of the readings.
    pub(super) unit: &'static str,
    /// Whether somebody should have a look.
    pub(super) attention: bool,
    /// Oldest first.
    pub(super) readings: [f64; 12],
}

/// All of them.
pub(super) static THINGS: [Thing; 6] = [
    Thing {
        id: "11",
        name: "Well pump",
        place: "North field",
        measures: "Flow",
        unit: "l/s",
        attention: false,
        readings: [4.1, 4.0, 4.2, 4.3, 4.1, 4.0, 4.4, 4.6, 4.5, 4.4, 4.3, 4.4],
    },
    Thing {
        id: "12",
        name: "Hilltop tank",
        place: "Reservoir",
        measures: "Level",
        unit: "%",
        attention: false,
        readings: [
            71.0, 70.0, 68.0, 66.0, 67.0, 70.0, 74.0, 78.0, 80.0, 81.0, 81.0, 82.0,
        ],
    },
    Thing {
        id: "14",
        name: "Filter 2",
        place: "Plant room",
        measures: "Pressure drop",
        unit: "bar",
        attention: true,
        readings: [0.3, 0.3, 0.4, 0.4, 0.5, 0.6, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1],
    },
    Thing {
        id: "17",
        name: "Booster pump",
        place: "Plant room",
        measures: "Pressure",
        unit: "bar",
        attention: false,
        readings: [3.2, 3.4, 3.3, 3.5, 3.9, 4.2, 4.1, 4.3, 4.0, 3.8, 3.9, 4.0],
    },
    Thing {
        id: "21",
        name: "Orangery meter",
        place: "Garden",
        measures: "Use",
        unit: "m³/h",
        attention: false,
        readings: [0.0, 0.0, 0.1, 0.4, 0.9, 1.2, 0.8, 0.5, 0.3, 0.2, 0.1, 0.0],
    },
    Thing {
        id: "23",
        name: "Pool heater",
        place: "Spa",
        measures: "Temperature",
        unit: "°C",
        attention: false,
        readings: [
            27.1, 27.2, 27.2, 27.4, 27.6, 27.9, 28.0, 28.1, 28.1, 28.0, 28.0, 28.1,
        ],
    },
];

/// The thing of that number, if any.
pub(super) fn find(id: &str) -> Option<&'static Thing> {
    THINGS.iter().find(|thing| thing.id == id)
}

impl Thing {
    /// The newest reading.
    pub(super) fn latest(&self) -> f64 {
        let [.., latest] = self.readings;
        latest
    }

    /// The readings as points of a polyline in a box of 330 by 100.
    pub(super) fn polyline(&self) -> String {
        let lowest = self.readings.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = self
            .readings
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        let span = (highest - lowest).max(f64::EPSILON);
        let place = |(hour, reading): (u32, &f64)| {
            format!(
                "{},{:.0}",
                hour * 30,
                90.0 - 80.0 * (reading - lowest) / span
            )
        };
        (0..)
            .zip(&self.readings)
            .map(place)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chart_stays_in_its_box() {
        for thing in &THINGS {
            for point in thing.polyline().split(' ') {
                let (x, y) = point.split_once(',').unwrap();
                assert!((0..=330).contains(&x.parse().unwrap()));
                assert!((0..=100).contains(&y.parse().unwrap()));
            }
        }
    }
}
