//! The results of the few classes and functions that checkpoints call.

use std::rc::Rc;

use super::value::{Pickle, Storage, Tensor, Value};

/// The value that a class or function would construct; opaque for most.
pub fn construct(made: &mut Pickle, class: &Value, arguments: &Value) -> Value {
    let (Value::Global(name), Value::Tuple(arguments)) = (class, arguments) else {
        return Value::Opaque;
    };
    let module = name.split('.').next().unwrap_or_default();
    let last = name.rsplit('.').next().unwrap_or_default();
    let value = match (module, last) {
        ("collections", "OrderedDict" | "defaultdict" | "Counter") => Some(made.new_dict(Vec::new())),
        ("torch", "_rebuild_tensor_v2" | "_rebuild_tensor") => tensor(arguments),
        ("torch", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            arguments.first().filter(|value| matches!(value, Value::Tensor(_))).cloned()
        }
        ("numpy", "dtype") => match arguments.first() {
            Some(Value::Text(kind)) => Some(Value::NumpyType(kind.clone())),
            _ => None,
        },
        ("numpy", "scalar") => numpy_scalar(arguments),
        // Old protocols store bytes as text, one character per byte.
        ("_codecs", "encode") => match arguments.first() {
            Some(Value::Text(text)) => Some(Value::Bytes(text.chars().map(|c| c as u32 as u8).collect())),
            _ => None,
        },
        ("pathlib", "WindowsPath" | "PureWindowsPath") => path(arguments, "\\"),
        ("pathlib", "PosixPath" | "PurePosixPath" | "Path") => path(arguments, "/"),
        ("torch", "Size" | "device") | ("builtins" | "__builtin__", "set" | "frozenset" | "list" | "tuple") => {
            arguments.first().cloned()
        }
        _ => None,
    };
    value.unwrap_or(Value::Opaque)
}

fn size(value: &Value) -> Option<usize> {
    match value {
        Value::Int(v) => usize::try_from(*v).ok(),
        _ => None,
    }
}

/// `("storage", class, key, device, elements)`. A sixth element, which makes it a view of another storage, is refused: only
/// the first versions of torch wrote it.
pub fn storage(id: &Value) -> Option<Rc<Storage>> {
    let Value::Tuple(parts) = id else { return None };
    match &**parts {
        [Value::Text(tag), Value::Global(kind), Value::Text(key), _, len]
        | [Value::Text(tag), Value::Global(kind), Value::Text(key), _, len, Value::None]
            if &**tag == "storage" =>
        {
            let kind = kind.rsplit('.').next().unwrap_or_default().into();
            Some(Rc::new(Storage { kind, key: key.clone(), len: size(len)? }))
        }
        _ => None,
    }
}

/// `(storage, offset, shape, strides, …)`.
fn tensor(arguments: &[Value]) -> Option<Value> {
    let [Value::Storage(storage), offset, Value::Tuple(shape), Value::Tuple(strides), ..] = arguments else {
        return None;
    };
    let sizes = |values: &[Value]| values.iter().map(size).collect::<Option<Vec<_>>>();
    let (shape, strides) = (sizes(shape)?, sizes(strides)?);
    let tensor = Tensor { storage: storage.clone(), offset: size(offset)?, shape, strides };
    (tensor.shape.len() == tensor.strides.len()).then(|| Value::Tensor(Rc::new(tensor)))
}

/// `(dtype, bytes)`.
fn numpy_scalar(arguments: &[Value]) -> Option<Value> {
    let [Value::NumpyType(kind), Value::Bytes(bytes)] = arguments else { return None };
    let number = |len: usize| -> Option<[u8; 8]> {
        let mut whole = [0; 8];
        whole[..len].copy_from_slice(bytes.get(..len).filter(|_| bytes.len() == len)?);
        Some(whole)
    };
    Some(match &**kind {
        "f8" => Value::Float(f64::from_le_bytes(number(8)?)),
        "f4" => Value::Float(f32::from_le_bytes(bytes[..].try_into().ok()?).into()),
        "i8" => Value::Int(i64::from_le_bytes(number(8)?)),
        "i4" => Value::Int(i32::from_le_bytes(bytes[..].try_into().ok()?).into()),
        "b1" => Value::Bool(number(1)?[0] != 0),
        _ => return None,
    })
}

fn path(parts: &[Value], separator: &str) -> Option<Value> {
    let part = |value: &Value| match value {
        Value::Text(text) => Some(text.to_string()),
        _ => None,
    };
    let parts = parts.iter().map(part).collect::<Option<Vec<_>>>()?;
    Some(Value::Text(parts.join(separator).replace(&format!("{separator}{separator}"), separator).into()))
}
