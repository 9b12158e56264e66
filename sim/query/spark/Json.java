import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.io.NumberOutput;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** JSON as Python's {@code json.dumps(..., sort_keys=True, ensure_ascii=False)} writes it. */
final class Json {
  private static final ObjectMapper READER =
      new ObjectMapper()
          .enable(DeserializationFeature.USE_BIG_INTEGER_FOR_INTS)
          .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS.mappedFeature());

  private Json() {}

  /** The members of an object's text. A text that is none is a member itself. */
  @SuppressWarnings("unchecked")
  static Map<String, Object> object(Object text) {
    if (text == null || text.toString().isEmpty()) {
      return Map.of();
    }
    try {
      return (Map<String, Object>) READER.readValue(text.toString(), Map.class);
    } catch (JsonProcessingException error) {
      return Map.of(LakeParquet.RESCUED, text.toString());
    }
  }

  static String text(Object value) {
    if (value instanceof Map<?, ?> map) {
      List<String> members = new ArrayList<>();
      for (Map.Entry<?, ?> each : new TreeMap<>(map).entrySet()) {
        members.add(quoted((String) each.getKey()) + ": " + text(each.getValue()));
      }
      return "{" + String.join(", ", members) + "}";
    }
    if (value instanceof List<?> list) {
      List<String> items = new ArrayList<>();
      list.forEach(each -> items.add(text(each)));
      return "[" + String.join(", ", items) + "]";
    }
    if (value instanceof Double || value instanceof Float) {
      return number(((Number) value).doubleValue());
    }
    boolean plain = value == null || value instanceof Boolean || value instanceof BigInteger;
    if (plain || value instanceof Values.Whole) {
      return String.valueOf(value);
    }
    if (value instanceof byte[] bytes) {
      return quoted(HexFormat.of().withUpperCase().formatHex(bytes));
    }
    return quoted(value.toString());
  }

  private static String number(double value) {
    if (Double.isNaN(value) || Double.isInfinite(value)) {
      return Double.toString(value);
    }
    return formatted(NumberOutput.toString(value, true), -4, 16, true);
  }

  /**
   * The shortest digits of a number: plain for exponents from {@code low} to under {@code high}.
   *
   * @param python ends whole numbers with .0, and writes exponents with two digits
   */
  static String formatted(String shortest, int low, int high, boolean python) {
    String sign = shortest.startsWith("-") ? "-" : "";
    BigDecimal exact = new BigDecimal(shortest).abs();
    if (exact.signum() == 0) {
      return sign + (python ? "0.0" : "0");
    }
    exact = exact.stripTrailingZeros();
    int exponent = exact.precision() - exact.scale() - 1;
    if (low <= exponent && exponent < high) {
      String plain = exact.toPlainString();
      return sign + plain + (python && !plain.contains(".") ? ".0" : "");
    }
    String digits = exact.unscaledValue().toString();
    String head = digits.length() == 1 ? digits : digits.charAt(0) + "." + digits.substring(1);
    String size = String.format(python ? "%02d" : "%d", Math.abs(exponent));
    return sign + head + "e" + (exponent < 0 ? "-" : "+") + size;
  }

  private static String quoted(String text) {
    StringBuilder made = new StringBuilder("\"");
    for (char each : text.toCharArray()) {
      switch (each) {
        case '"' -> made.append("\\\"");
        case '\\' -> made.append("\\\\");
        case '\n' -> made.append("\\n");
        case '\r' -> made.append("\\r");
        case '\t' -> made.append("\\t");
        case '\f' -> made.append("\\f");
        case '\b' -> made.append("\\b");
        default -> made.append(each < ' ' ? String.format("\\u%04x", (int) each) : each);
      }
    }
    return made.append('"').toString();
  }
}
