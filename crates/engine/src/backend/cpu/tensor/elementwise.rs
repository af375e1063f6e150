//! Functions of elements, with broadcasting.
use std::sync::Arc;

use sconce_kernels::{Context, Destination, activation, activation::Activation, buffer::Buffer};

use super::{
    Shapes,
    broadcast::{Broadcast, Row, apply1, apply2, apply3},
};
use crate::{
    backend::cpu::Run,
    error::Result,
    ops::{Binary, Unary},
    plan::Node,
    tensor::{Data, Tensor},
};

fn truth(truth: bool) -> f32 {
    f32::from(u8::from(truth))
}

fn unary(function: Unary, rows: [Row<'_, f32>; 1], y: &mut [f32]) {
    match function {
        Unary::Negative => apply1(rows, y, |x: f32| -x),
        Unary::Abs => apply1(rows, y, f32::abs),
        Unary::Square => apply1(rows, y, |x| x * x),
        Unary::Sqrt => apply1(rows, y, f32::sqrt),
        Unary::Rsqrt => apply1(rows, y, |x: f32| x.sqrt().recip()),
        Unary::Reciprocal => apply1(rows, y, f32::recip),
        Unary::Log => apply1(rows, y, f32::ln),
        Unary::LogicalNot => apply1(rows, y, |x| truth(x == 0.0)),
        Unary::StopGradient => apply1(rows, y, |x| x),
        _ => apply1(rows, y, |x| function.value(f64::from(x)) as f32),
    }
}

fn binary(function: Binary, rows: [Row<'_, f32>; 2], y: &mut [f32]) {
    match function {
        Binary::Add => apply2(rows, y, |a, b| a + b),
        Binary::Subtract => apply2(rows, y, |a, b| a - b),
        Binary::Multiply => apply2(rows, y, |a, b| a * b),
        Binary::Divide => apply2(rows, y, |a, b| a / b),
        Binary::Maximum => apply2(rows, y, |a: f32, b| if a > b || a.is_nan() { a } else { b }),
        Binary::Minimum => apply2(rows, y, |a: f32, b| if a < b || a.is_nan() { a } else { b }),
        Binary::Equal => apply2(rows, y, |a, b| truth(a == b)),
        Binary::Less => apply2(rows, y, |a, b| truth(a < b)),
        Binary::LessEqual => apply2(rows, y, |a, b| truth(a <= b)),
        _ => apply2(rows, y, |a: f32, b: f32| function.value(f64::from(a), f64::from(b)) as f32),
    }
}

/// What a function of two gives to one of them: the slope times `dy`.
fn binary_slope(function: Binary, first: bool, rows: [Row<'_, f32>; 3], y: &mut [f32]) {
    match (function, first) {
        (Binary::Multiply, true) => apply3(rows, y, |_, b, dy| b * dy),
        (Binary::Multiply, false) => apply3(rows, y, |a, _, dy| a * dy),
        (Binary::Divide, true) => apply3(rows, y, |_, b, dy| dy / b),
        (_, true) => apply3(rows, y, |a: f32, b: f32, dy: f32| {
            (function.slope_a(f64::from(a), f64::from(b)) * f64::from(dy)) as f32
        }),
        (_, false) => apply3(rows, y, |a: f32, b: f32, dy: f32| {
            (function.slope_b(f64::from(a), f64::from(b)) * f64::from(dy)) as f32
        }),
    }
}

/// The elements as floats.
pub(super) fn as_floats(x: &Tensor) -> Vec<f32> {
    match &x.data {
        Data::Float(x) => x.to_vec(),
        Data::Ids(x) => x.iter().map(|&x| x as f32).collect(),
    }
}

fn ids(sizes: Vec<usize>, values: Vec<i32>) -> Tensor {
    Tensor { shape: sizes, data: Data::Ids(Arc::new(values)) }
}

/// `dx = slope(x) dy` for each element.
fn sloped(context: &Context, x: &[f32], dy: &[f32], slope: impl Fn(f32, f32) -> f32 + Sync) -> Buffer {
    let mut dx = Buffer::new(dy.len());
    Broadcast::new(&[dy.len()], [&[dy.len()], &[dy.len()]])
        .map(context, [x, dy], &mut dx, |rows, dx| apply2(rows, dx, &slope));
    dx
}

impl Run<'_> {
    pub(super) fn unary_forward(&self, node: &Node, function: Unary, sizes: Vec<usize>) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let length = x.len();
        let layout = Broadcast::new(&[length], [&[length]]);
        match &x.data {
            Data::Ids(x) if function != Unary::LogicalNot => {
                let mut y = vec![0; length];
                let value = |x: i32| function.value(f64::from(x)) as i32;
                layout.map(self.context, [x.as_slice()], &mut y, |rows, y| apply1(rows, y, value));
                Ok(ids(sizes, y))
            }
            Data::Ids(x) => {
                let mut y = Buffer::new(length);
                y.iter_mut().zip(x.iter()).for_each(|(y, &x)| *y = truth(x == 0));
                Ok(Tensor::float(sizes, y))
            }
            Data::Float(x) => {
                let mut y = Buffer::new(length);
                if function == Unary::Exp {
                    activation::forward(self.context, Activation::Exponential, x, &mut y);
                } else {
                    layout.map(self.context, [&**x], &mut y, |rows, y| unary(function, rows, y));
                }
                Ok(Tensor::float(sizes, y))
            }
        }
    }

    pub(super) fn unary_backward(&mut self, node: &Node, function: Unary, mut dy: Buffer) -> Result<()> {
        let input = node.inputs[0];
        if function.is_flat() {
            return Ok(());
        }
        if function == Unary::Negative {
            dy.iter_mut().for_each(|dy| *dy = -*dy);
            self.give(input, dy);
            return Ok(());
        }
        let x = self.value(input)?.floats()?;
        let slope = |x: f32, dy: f32| (function.slope(f64::from(x)) * f64::from(dy)) as f32;
        let dx = sloped(self.context, x, &dy, slope);
        self.give(input, dx);
        Ok(())
    }

    pub(super) fn activate_forward(&self, node: &Node, function: Activation, sizes: Vec<usize>) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?.floats()?;
        let mut y = Buffer::new(x.len());
        activation::forward(self.context, function, x, &mut y);
        Ok(Tensor::float(sizes, y))
    }

    pub(super) fn activate_backward(&mut self, node: &Node, function: Activation, dy: &[f32]) -> Result<()> {
        let kept = if function.gradient_takes_input() { node.inputs[0] } else { node.outputs[0] };
        let saved = self.value(kept)?.floats()?;
        let mut dx = Buffer::new(dy.len());
        activation::backward(self.context, function, saved, dy, Destination { data: &mut dx, accumulate: false });
        self.give(node.inputs[0], dx);
        Ok(())
    }

    pub(super) fn clip_forward(&self, node: &Node, minimum: f32, maximum: f32, sizes: Vec<usize>) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?.floats()?;
        let mut y = Buffer::new(x.len());
        // What is not a number stays.
        let value = |x: f32| {
            if x < minimum {
                minimum
            } else if x > maximum {
                maximum
            } else {
                x
            }
        };
        Broadcast::new(&[x.len()], [&[x.len()]]).map(self.context, [x], &mut y, |rows, y| apply1(rows, y, value));
        Ok(Tensor::float(sizes, y))
    }

    pub(super) fn clip_backward(&mut self, node: &Node, minimum: f32, maximum: f32, dy: &[f32]) -> Result<()> {
        let x = self.value(node.inputs[0])?.floats()?;
        let slope = |x: f32, dy: f32| if x < minimum || x > maximum { 0.0 } else { dy };
        let dx = sloped(self.context, x, dy, slope);
        self.give(node.inputs[0], dx);
        Ok(())
    }

    pub(super) fn binary_forward(&self, node: &Node, function: Binary, sizes: Vec<usize>) -> Result<Tensor> {
        let (a, b) = (self.value(node.inputs[0])?, self.value(node.inputs[1])?);
        let layout = Broadcast::new(&sizes, [&a.shape, &b.shape]);
        let length = sizes.iter().product();
        match (&a.data, &b.data) {
            (Data::Float(a), Data::Float(b)) => {
                let mut y = Buffer::new(length);
                layout.map(self.context, [&**a, &**b], &mut y, |rows, y| binary(function, rows, y));
                Ok(Tensor::float(sizes, y))
            }
            (Data::Ids(a), Data::Ids(b)) if function.is_truth() => {
                let mut y = Buffer::new(length);
                let value = |a: i32, b: i32| function.value(f64::from(a), f64::from(b)) as f32;
                layout.map(self.context, [a.as_slice(), b], &mut y, |rows, y| apply2(rows, y, value));
                Ok(Tensor::float(sizes, y))
            }
            (Data::Ids(a), Data::Ids(b)) => {
                let mut y = vec![0; length];
                let value = |a: i32, b: i32| function.value(f64::from(a), f64::from(b)) as i32;
                layout.map(self.context, [a.as_slice(), b], &mut y, |rows, y| apply2(rows, y, value));
                Ok(ids(sizes, y))
            }
            // Truths of both types.
            _ => {
                let (a, b) = (as_floats(a), as_floats(b));
                let mut y = Buffer::new(length);
                layout.map(self.context, [&a, &b], &mut y, |rows, y| binary(function, rows, y));
                Ok(Tensor::float(sizes, y))
            }
        }
    }

    pub(super) fn binary_backward(&mut self, node: &Node, function: Binary, shapes: &Shapes, dy: &[f32]) -> Result<()> {
        if function.is_flat() {
            return Ok(());
        }
        for side in 0..2 {
            let input = node.inputs[side];
            if !self.schedule.gradient[input] {
                continue;
            }
            let mut gradient = Buffer::new(dy.len());
            match (function, side) {
                (Binary::Add, _) | (Binary::Subtract | Binary::Mod, 0) => gradient.copy_from_slice(dy),
                (Binary::Subtract, _) => gradient.iter_mut().zip(dy).for_each(|(to, dy)| *to = -dy),
                _ => {
                    let (a, b) = (self.value(node.inputs[0])?.floats()?, self.value(node.inputs[1])?.floats()?);
                    let [of_a, of_b] = shapes.inputs.as_slice() else { continue };
                    let layout = Broadcast::new(&shapes.output, [of_a, of_b, &shapes.output]);
                    layout.map(self.context, [a, b, dy], &mut gradient, |rows, y| {
                        binary_slope(function, side == 0, rows, y);
                    });
                }
            }
            self.give_summed(input, gradient, &shapes.output, &shapes.inputs[side]);
        }
        Ok(())
    }

    pub(super) fn choice_forward(&self, node: &Node, sizes: Vec<usize>) -> Result<Tensor> {
        let [condition, a, b] = [0, 1, 2].map(|input| self.value(node.inputs[input]));
        let (condition, a, b) = (condition?, a?, b?);
        let layout = Broadcast::new(&sizes, [&condition.shape, &a.shape, &b.shape]);
        let length = sizes.iter().product();
        match (&a.data, &b.data) {
            (Data::Ids(a), Data::Ids(b)) => {
                let flags: Vec<i32> = as_floats(condition).iter().map(|&flag| i32::from(flag != 0.0)).collect();
                let mut y = vec![0; length];
                let value = |flag: i32, a: i32, b: i32| if flag != 0 { a } else { b };
                layout.map(self.context, [&flags, a.as_slice(), b], &mut y, |rows, y| apply3(rows, y, value));
                Ok(ids(sizes, y))
            }
            _ => {
                let flags = as_floats(condition);
                let mut y = Buffer::new(length);
                let value = |flag: f32, a: f32, b: f32| if flag != 0.0 { a } else { b };
                layout.map(self.context, [&flags, a.floats()?, b.floats()?], &mut y, |rows, y| apply3(rows, y, value));
                Ok(Tensor::float(sizes, y))
            }
        }
    }

    pub(super) fn choice_backward(&mut self, node: &Node, shapes: &Shapes, dy: &[f32]) -> Result<()> {
        let flags = as_floats(self.value(node.inputs[0])?);
        for side in [1, 2] {
            let mut gradient = Buffer::new(dy.len());
            let layout = Broadcast::new(&shapes.output, [&shapes.inputs[0], &shapes.output]);
            let value = |flag: f32, dy: f32| if (flag != 0.0) == (side == 1) { dy } else { 0.0 };
            layout.map(self.context, [&flags, dy], &mut gradient, |rows, y| apply2(rows, y, value));
            self.give_summed(node.inputs[side], gradient, &shapes.output, &shapes.inputs[side]);
        }
        Ok(())
    }
}
