//! A graph in the making: values by name, operators in the order in which they are added.

use super::proto::{
    AttributeProto, AttributeType, DataType, Dimension, DimensionProto, GraphProto, NodeProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::artifact::Precision;
use crate::predict::Array;
use burn::tensor::f16;
use std::collections::{HashMap, HashSet};

/// The name of what an input, a constant or an operator gives.
pub type Value = String;

/// An optional input that is left out.
pub const NOTHING: &str = "";

/// The size of an axis of an input or output.
#[derive(Clone, Copy)]
pub enum Axis {
    /// Any; axes of one name are of one size.
    Named(&'static str),
    /// Known.
    Of(usize),
}

/// A graph, to which inputs, constants, operators and outputs are added.
pub struct Graph {
    proto: GraphProto,
    /// Before the names of its own values: those of a graph within another must differ from the outer ones.
    prefix: String,
    values: usize,
    constants: HashSet<String>,
    /// Names of weights, and the values of 32 bits that they are.
    weights: HashMap<String, Value>,
    /// That of weights.
    precision: Precision,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: &str, precision: Precision) -> Self {
        Self::with_prefix(name, String::new(), precision)
    }

    /// An empty graph that is to stand within this one, and may read its values.
    pub fn within(&mut self) -> Self {
        let name = self.fresh("body");
        Self::with_prefix(&name, format!("{name}/"), self.precision)
    }

    fn with_prefix(name: &str, prefix: String, precision: Precision) -> Self {
        let proto = GraphProto { name: Some(name.into()), ..GraphProto::default() };
        Self { proto, prefix, values: 0, constants: HashSet::new(), weights: HashMap::new(), precision }
    }

    /// The finished graph.
    pub fn finish(self) -> GraphProto {
        self.proto
    }

    /// Something that the graph reads; `what` it is, for people.
    pub fn input(&mut self, name: &str, type_: DataType, shape: &[Axis], what: &str) -> Value {
        let name = format!("{}{name}", self.prefix);
        self.proto.input.push(value_info(&name, type_, shape, what));
        name
    }

    /// As [`input`](Self::input), of floats; one that is left out is `default`, of a shape that `shape` allows.
    pub fn optional_input(&mut self, name: &str, shape: &[Axis], default: &Array<f32>, what: &str) -> Value {
        let name = self.input(name, DataType::Float, shape, what);
        // An initializer of an input's name is its default.
        self.floats(&name, default)
    }

    /// Gives `value` under a name of its own.
    pub fn output(&mut self, value: &str, name: &str, type_: DataType, shape: &[Axis], what: &str) {
        let name = format!("{}{name}", self.prefix);
        self.node("Identity", &[value], vec![name.clone()], Vec::new());
        self.proto.output.push(value_info(&name, type_, shape, what));
    }

    /// A weight, in 32 bits whatever it is kept in; one of that name that is there already is the same.
    pub fn weight(&mut self, name: &str, array: &Array<f32>) -> Value {
        if let Some(value) = self.weights.get(name) {
            return value.clone();
        }
        let value = match self.precision {
            Precision::Full => self.floats(name, array),
            Precision::Half => {
                let bytes = array.values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
                self.tensor(name, DataType::Float16, &array.shape, bytes);
                self.op("Cast", &[name], [to(DataType::Float)])
            }
        };
        self.weights.insert(name.into(), value.clone());
        value
    }

    /// A constant of 32 bits.
    pub fn floats(&mut self, name: &str, array: &Array<f32>) -> Value {
        let bytes = array.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, DataType::Float, &array.shape, bytes);
        name.into()
    }

    /// A constant without axes.
    pub fn scalar(&mut self, value: f32) -> Value {
        let name = format!("{}float_{value:e}", self.prefix);
        if self.constants.insert(name.clone()) {
            self.tensor(&name, DataType::Float, &[], value.to_le_bytes().to_vec());
        }
        name
    }

    /// A list of integers: axes, shapes.
    pub fn ints(&mut self, values: &[i64]) -> Value {
        let list: Vec<String> = values.iter().map(i64::to_string).collect();
        let name = format!("{}ints_{}", self.prefix, list.join("_"));
        if self.constants.insert(name.clone()) {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            self.tensor(&name, DataType::Int64, &[values.len()], bytes);
        }
        name
    }

    /// An integer without axes.
    pub fn int(&mut self, value: i64) -> Value {
        let name = format!("{}int_{value}", self.prefix);
        if self.constants.insert(name.clone()) {
            self.tensor(&name, DataType::Int64, &[], value.to_le_bytes().to_vec());
        }
        name
    }

    fn tensor(&mut self, name: &str, type_: DataType, shape: &[usize], bytes: Vec<u8>) {
        self.proto.initializer.push(TensorProto {
            dims: shape.iter().map(|&d| d as i64).collect(),
            data_type: Some(type_ as i32),
            name: Some(name.into()),
            raw_data: Some(bytes),
        });
    }

    /// An operator of one result.
    pub fn op<const N: usize>(
        &mut self,
        op_type: &str,
        inputs: &[&str],
        attributes: [AttributeProto; N],
    ) -> Value {
        self.ops(op_type, inputs, attributes.into(), 1).remove(0)
    }

    /// An operator of `n` results.
    pub fn ops(
        &mut self,
        op_type: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
        n: usize,
    ) -> Vec<Value> {
        let outputs: Vec<Value> = (0..n).map(|_| self.fresh(&op_type.to_lowercase())).collect();
        self.node(op_type, inputs, outputs.clone(), attributes);
        outputs
    }

    fn node(&mut self, op_type: &str, inputs: &[&str], output: Vec<Value>, attribute: Vec<AttributeProto>) {
        let given = inputs.iter().rposition(|input| *input != NOTHING).map_or(0, |last| last + 1);
        self.proto.node.push(NodeProto {
            input: inputs[..given].iter().map(ToString::to_string).collect(),
            name: output.first().map(|output| format!("node/{output}")),
            output,
            op_type: Some(op_type.into()),
            attribute,
        });
    }

    fn fresh(&mut self, stem: &str) -> Value {
        self.values += 1;
        format!("{}{stem}_{}", self.prefix, self.values)
    }

    /// Axes in another order.
    pub fn transpose(&mut self, value: &str, order: &[i64]) -> Value {
        self.op("Transpose", &[value], [ints("perm", order)])
    }

    /// Another shape; 0: as it is, -1: what is left.
    pub fn reshape(&mut self, value: &str, shape: &[i64]) -> Value {
        let shape = self.ints(shape);
        self.op("Reshape", &[value, &shape], [])
    }

    /// One axis more, of size 1.
    pub fn unsqueeze(&mut self, value: &str, axis: i64) -> Value {
        let axes = self.ints(&[axis]);
        self.op("Unsqueeze", &[value, &axes], [])
    }

    /// One axis less, which is of size 1.
    pub fn squeeze(&mut self, value: &str, axis: i64) -> Value {
        let axes = self.ints(&[axis]);
        self.op("Squeeze", &[value, &axes], [])
    }

    /// `ReduceSum`, `ReduceMean` or `ReduceMax` over an axis, which then is gone.
    pub fn reduce(&mut self, op_type: &str, value: &str, axis: i64) -> Value {
        let axes = self.ints(&[axis]);
        self.op(op_type, &[value, &axes], [int("keepdims", 0)])
    }

    /// One beside the other along an axis; a single one as it is.
    pub fn concat(&mut self, values: &[Value], axis: i64) -> Value {
        match values {
            [value] => value.clone(),
            _ => {
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                self.op("Concat", &values, [int("axis", axis)])
            }
        }
    }

    /// `n` pieces of `size` along an axis; a single one is the value itself.
    pub fn split(&mut self, value: &str, n: usize, size: usize, axis: i64) -> Vec<Value> {
        if n == 1 {
            return vec![value.into()];
        }
        let sizes = self.ints(&vec![size as i64; n]);
        self.ops("Split", &[value, &sizes], vec![int("axis", axis)], n)
    }

    /// The size of an axis, `[1]`.
    pub fn size(&mut self, value: &str, axis: i64) -> Value {
        self.op("Shape", &[value], [int("start", axis), int("end", axis + 1)])
    }
}

/// The attribute of `Cast`.
pub fn to(type_: DataType) -> AttributeProto {
    int("to", type_ as i64)
}

/// An integer.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

/// Integers.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) }
}

/// A float.
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

/// A text.
pub fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.into()), ..attribute(name, AttributeType::String) }
}

/// Texts.
pub fn strings(name: &str, values: &[&str]) -> AttributeProto {
    let strings = values.iter().map(|value| value.as_bytes().to_vec()).collect();
    AttributeProto { strings, ..attribute(name, AttributeType::Strings) }
}

/// A graph.
pub fn graph(name: &str, value: GraphProto) -> AttributeProto {
    AttributeProto { g: Some(value), ..attribute(name, AttributeType::Graph) }
}

fn attribute(name: &str, type_: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(type_ as i32), ..AttributeProto::default() }
}

fn value_info(name: &str, type_: DataType, shape: &[Axis], what: &str) -> ValueInfoProto {
    let dim = |axis: &Axis| DimensionProto {
        value: Some(match axis {
            Axis::Named(name) => Dimension::Name(name.to_string()),
            Axis::Of(size) => Dimension::Value(*size as i64),
        }),
    };
    let shape = TensorShapeProto { dim: shape.iter().map(dim).collect() };
    let tensor = TensorTypeProto { elem_type: Some(type_ as i32), shape: Some(shape) };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto { tensor_type: Some(tensor) }),
        doc_string: Some(what.into()),
    }
}
