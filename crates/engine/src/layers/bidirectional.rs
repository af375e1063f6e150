//! A recurrent layer in both directions of time.
use serde::Deserialize;

use super::{Inference, RecurrentOptions, Signature, options};
use crate::{
    error::{Code, Error, Result},
    graph::LayerDocument,
    shape::{Dimension, describe},
};

/// What becomes of the outputs of both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MergeMode {
    /// Side by side.
    Concat,
    /// Their sum.
    Sum,
    /// Their product.
    Mul,
    /// Their mean.
    Ave,
}

/// One of both directions.
#[derive(Clone, Debug)]
pub struct Direction {
    /// Prefix of the names of its weights.
    pub name: String,
    /// Whether it is trained if the layer is.
    pub trainable: bool,
    /// What it computes.
    pub options: RecurrentOptions,
}

/// Options of a recurrent layer in both directions.
#[derive(Clone, Debug)]
pub struct BidirectionalOptions {
    /// The layer itself, then the one whose output is turned round in time.
    pub directions: [Direction; 2],
    /// `None`: both outputs.
    pub merge_mode: Option<MergeMode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    layer: LayerDocument,
    backward_layer: LayerDocument,
    merge_mode: Option<MergeMode>,
}

impl Direction {
    fn parse(outer: &str, document: &LayerDocument) -> Result<Self> {
        let refuse =
            |reason: String| Error::new(Code::Option, format!("layer {outer}: layer {}: {reason}", document.name));
        let mut options = RecurrentOptions::parse(document)
            .ok_or_else(|| refuse(format!("expected an lstm, a gru or a simpleRnn, got {}", document.kind)))??;
        options.check().map_err(refuse)?;
        if options.stateful {
            return Err(refuse("a layer in both directions cannot be stateful: it reads what comes later".to_owned()));
        }
        // As Keras does, so that masked steps do not repeat what lies on the other side in time.
        options.zero_output_for_mask = options.return_sequences;
        Ok(Self { name: document.name.clone(), trainable: document.trainable, options })
    }
}

impl BidirectionalOptions {
    pub(super) fn parse(layer: &LayerDocument) -> Result<Self> {
        let Document { layer: first, backward_layer: second, merge_mode } = options(layer)?;
        let directions = [Direction::parse(&layer.name, &first)?, Direction::parse(&layer.name, &second)?];
        Ok(Self { directions, merge_mode })
    }

    pub(super) fn check(&self) -> std::result::Result<(), String> {
        let [first, second] = &self.directions;
        let (one, other) = (&first.options, &second.options);
        if first.name == second.name {
            return Err(format!("layer and backwardLayer are both named {}", first.name));
        }
        if one.go_backwards == other.go_backwards {
            return Err(format!("layer and backwardLayer must differ in goBackwards, both have {}", one.go_backwards));
        }
        for (option, one, other) in [
            ("returnSequences", one.return_sequences, other.return_sequences),
            ("returnState", one.return_state, other.return_state),
        ] {
            if one != other {
                return Err(format!("layer and backwardLayer must agree on {option}, got {one} and {other}"));
            }
        }
        if one.cell.states() != other.cell.states() {
            return Err("layer and backwardLayer must have equally many states".to_owned());
        }
        if one.units != other.units && self.merge_mode.is_some_and(|mode| mode != MergeMode::Concat) {
            return Err(format!(
                "layer and backwardLayer must have the same units to be merged element by element, got {} and {}: \
                 take mergeMode concat or null",
                one.units, other.units
            ));
        }
        Ok(())
    }

    /// The inputs of one direction: the sequence and its half of the states.
    pub(crate) fn half<T: Clone>(inputs: &[T], direction: usize) -> Vec<T> {
        let half = inputs.len().saturating_sub(1) / 2;
        let states = inputs.iter().skip(1 + direction * half).take(half);
        inputs.iter().take(1).chain(states).cloned().collect()
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> std::result::Result<Inference, String> {
        let states = self.directions[0].options.cell.states();
        if ![1, 1 + 2 * states].contains(&inputs.len()) {
            return Err(format!(
                "expected a sequence, or a sequence and {} states, got {} inputs",
                2 * states,
                inputs.len()
            ));
        }
        let (mut outputs, mut weights, mut equal, mut of_states) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (index, Direction { name, trainable, options }) in self.directions.iter().enumerate() {
            let mut inference = options.infer(&Self::half(inputs, index))?;
            of_states.extend(inference.outputs.drain(1..));
            outputs.append(&mut inference.outputs);
            equal.append(&mut inference.equal);
            weights.extend(inference.weights.into_iter().map(|mut weight| {
                weight.name = format!("{name}/{}", weight.name);
                weight.trainable &= trainable;
                weight
            }));
        }
        if self.merge_mode.is_some() {
            outputs.truncate(1);
        }
        if self.merge_mode == Some(MergeMode::Concat) {
            let units: usize = self.directions.iter().map(|direction| direction.options.units).sum();
            let shape = &mut outputs[0].shape;
            match shape.last_mut() {
                Some(last) => *last = Dimension::Size(units),
                None => return Err(format!("cannot join outputs of shape {}", describe(shape))),
            }
        }
        outputs.append(&mut of_states);
        Ok(Inference { outputs, weights, equal })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{
        error::Code,
        layers::{LayerKind, Signature},
        shape::{Dimension, ElementType},
    };

    fn recurrent(kind: &str) -> Value {
        let zeros = json!({ "type": "zeros" });
        let mut options = json!({
            "units": 2, "activation": "tanh", "useBias": true, "kernelInitializer": zeros,
            "recurrentInitializer": zeros, "biasInitializer": zeros, "dropout": 0.0, "recurrentDropout": 0.0,
            "returnSequences": true, "returnState": false, "goBackwards": false, "zeroOutputForMask": false
        });
        if kind != "simpleRnn" {
            options["recurrentActivation"] = json!("sigmoid");
        }
        match kind {
            "lstm" => options["unitForgetBias"] = json!(true),
            "gru" => options["resetAfter"] = json!(true),
            _ => {}
        }
        json!({ "name": kind, "type": kind, "trainable": true, "options": options })
    }

    fn both(kind: &str) -> Value {
        let mut options = json!({ "layer": recurrent(kind), "backwardLayer": recurrent(kind), "mergeMode": "sum" });
        options["layer"]["name"] = json!("forward");
        options["backwardLayer"]["options"]["goBackwards"] = json!(true);
        json!({ "name": "both", "type": "bidirectional", "trainable": true, "options": options })
    }

    /// The error of a document in which the value at a path is another, or is left out.
    fn refusal(mut document: Value, path: &[&str], value: Option<Value>) -> String {
        let (last, folders) = path.split_last().unwrap();
        let at = folders.iter().fold(&mut document, |value, key| &mut value[*key]);
        match value {
            Some(value) => at[*last] = value,
            None => drop(at.as_object_mut().unwrap().remove(*last)),
        }
        let error = LayerKind::parse(&serde_json::from_value(document).unwrap()).unwrap_err();
        assert_eq!(error.code, Code::Option, "{error}");
        error.message
    }

    #[test]
    fn options_of_another_kind_are_refused() {
        for (kind, option, given) in [
            ("lstm", "resetAfter", Some(json!(true))),
            ("gru", "unitForgetBias", Some(json!(true))),
            ("simpleRnn", "recurrentActivation", Some(json!("sigmoid"))),
            ("lstm", "recurrentActivation", None),
            ("gru", "resetAfter", None),
        ] {
            let what = if given.is_some() { "unknown" } else { "missing" };
            let message = refusal(recurrent(kind), &["options", option], given);
            assert_eq!(message, format!("layer {kind}: {what} field `{option}`"));
        }
        assert!(refusal(recurrent("gru"), &["options", "dropout"], Some(json!(1.0))).contains("dropout must be"));
    }

    #[test]
    fn layers_that_do_not_fit_are_refused() {
        let second = ["options", "backwardLayer", "options"];
        let other = |option: &'static str| [second[0], second[1], second[2], option];
        for (path, value, part) in [
            (&other("goBackwards")[..], json!(false), "must differ in goBackwards, both have false"),
            (&other("returnSequences"), json!(false), "must agree on returnSequences, got true and false"),
            (&other("returnState"), json!(true), "must agree on returnState, got false and true"),
            (&other("units"), json!(3), "same units to be merged element by element, got 2 and 3"),
            (&["options", "backwardLayer", "name"], json!("forward"), "both named forward"),
            (
                &["options", "backwardLayer", "type"],
                json!("dense"),
                "expected an lstm, a gru or a simpleRnn, got dense",
            ),
            (&["options", "mergeMode"], json!("max"), "max"),
            (&["options", "layer"], recurrent("lstm"), "equally many states"),
        ] {
            let message = refusal(both("gru"), path, Some(value));
            assert!(message.starts_with("layer both: ") && message.contains(part), "{message}");
        }
    }

    #[test]
    fn states_come_in_two_halves() {
        let kind = LayerKind::parse(&serde_json::from_value(both("lstm")).unwrap()).unwrap();
        let signature = |shape: Vec<Dimension>| Signature { shape, dtype: ElementType::Float32, masked: false };
        let batch = Dimension::Symbol("batch".to_owned());
        let x = signature(vec![batch.clone(), Dimension::Size(4), Dimension::Size(3)]);
        let state = signature(vec![batch, Dimension::Size(2)]);
        let infer = |states: usize| {
            let states = std::iter::repeat_n(state.clone(), states);
            kind.infer("both", &std::iter::once(x.clone()).chain(states).collect::<Vec<_>>())
        };
        assert_eq!(infer(4).unwrap().outputs[0].shape[2], Dimension::Size(2));
        let names: Vec<_> = infer(0).unwrap().weights.into_iter().map(|weight| weight.name).collect();
        assert_eq!(names[0], "forward/kernel");
        assert_eq!(names[5], "lstm/bias");
        let error = infer(2).unwrap_err();
        assert!(error.message.contains("a sequence and 4 states, got 3 inputs"), "{error}");
    }
}
