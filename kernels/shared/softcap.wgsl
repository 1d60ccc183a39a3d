// Gemma 2's cap on logits and attention scores: cap * tanh(z / cap). Without SOFTCAP both functions are the identity.
import package::shared::math::tanh4;

@if(SOFTCAP) override CAP: f32;

@if(SOFTCAP) fn capped4(z: vec4f) -> vec4f { return CAP * tanh4(z / CAP); }
@else fn capped4(z: vec4f) -> vec4f { return z; }

@if(SOFTCAP) fn capped(z: f32) -> f32 { return capped4(vec4f(z)).x; }
@else fn capped(z: f32) -> f32 { return z; }

/// The derivative of `capped`, written with its value: 1 - (capped / cap)^2.
@if(SOFTCAP) fn capped_slope(value: f32) -> f32 { return 1.0 - (value / CAP) * (value / CAP); }
@else fn capped_slope(value: f32) -> f32 { return 1.0; }

@if(SOFTCAP) fn capped_slope4(value: vec4f) -> vec4f { return 1.0 - (value / CAP) * (value / CAP); }
@else fn capped_slope4(value: vec4f) -> vec4f { return vec4f(1.0); }
