import com.fasterxml.jackson.core.io.NumberOutput;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.IntFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.util.ArrayBasedMapData;
import org.apache.spark.sql.catalyst.util.GenericArrayData;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.Decimal;
import org.apache.spark.sql.types.DecimalType;
import org.apache.spark.sql.types.MapType;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.types.UTF8String;

/** Values in the form of their column, by the conversions that lose nothing: Arrow's safe casts. */
final class Fit {
  private static final Pattern INTEGER = Pattern.compile("-?[0-9]+");
  private static final Pattern HEX = Pattern.compile("0[xX]([0-9a-fA-F]{1,16})");
  private static final Pattern REAL =
      Pattern.compile("[+-]?(?:[0-9]+\\.?[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?");
  private static final Pattern ENDLESS = Pattern.compile("([+-]?)(nan|inf|infinity)");
  private static final Pattern TIME =
      Pattern.compile(
          "([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2})"
              + "(?::([0-9]{2})(?::([0-9]{2}(?:\\.[0-9]{1,6})?))?)?"
              + "(Z|[+-][0-9]{2}(?::?[0-9]{2})?)");
  private static final long EXACT = 1L << 53;

  private Fit() {}

  /** The value as Spark holds it in a column of a type, null where it does not fit. */
  static Object fitting(Object value, DataType type) {
    if (type.equals(DataTypes.IntegerType)) {
      Long found = value instanceof Values.Moment ? null : integer(value, 32);
      if (value instanceof LocalDate date) {
        found = date.toEpochDay();
      } else if (value instanceof Values.Clock clock) {
        found = clock.digits() == 3 ? clock.units() : null;
      }
      return found != null && found == found.intValue() ? (Object) found.intValue() : null;
    }
    if (type.equals(DataTypes.ByteType) || type.equals(DataTypes.ShortType)) {
      Long found = integer(value, type.equals(DataTypes.ByteType) ? 8 : 16);
      if (type.equals(DataTypes.ByteType)) {
        return found != null && found == found.byteValue() ? (Object) found.byteValue() : null;
      }
      return found != null && found == found.shortValue() ? (Object) found.shortValue() : null;
    }
    if (type.equals(DataTypes.LongType)) {
      return integer(value, 64);
    }
    if (type.equals(DataTypes.DoubleType)) {
      return real(value);
    }
    if (type.equals(DataTypes.FloatType)) {
      return value instanceof Float ? value : null;
    }
    if (type.equals(DataTypes.BooleanType)) {
      return value instanceof Boolean ? value : null;
    }
    if (type.equals(DataTypes.StringType)) {
      String text = text(value);
      return text == null ? null : UTF8String.fromString(text);
    }
    if (type.equals(DataTypes.DateType)) {
      LocalDate day = day(value);
      return day == null ? null : (Object) (int) day.toEpochDay();
    }
    if (type.equals(DataTypes.TimestampType)) {
      return time_us(value);
    }
    if (type.equals(DataTypes.TimestampNTZType)) {
      return value instanceof Values.Moment moment && !moment.utc() ? time_us(value) : null;
    }
    if (type.equals(DataTypes.BinaryType)) {
      return value instanceof String text ? text.getBytes(StandardCharsets.UTF_8)
          : value instanceof byte[] ? value : null;
    }
    if (type instanceof DecimalType decimal && value instanceof BigDecimal number) {
      boolean fits = number.scale() == decimal.scale() && number.precision() <= decimal.precision();
      return fits ? Decimal.apply(number, decimal.precision(), decimal.scale()) : null;
    }
    return nested(value, type);
  }

  private static Object nested(Object value, DataType type) {
    if (type instanceof ArrayType array && value instanceof List<?> list) {
      Object[] items = fitting(list, i -> array.elementType());
      return items == null ? null : new GenericArrayData(items);
    }
    if (type instanceof MapType map && value instanceof List<?> list) {
      List<Object> keys = new ArrayList<>();
      List<Object> values = new ArrayList<>();
      for (Object each : list) {
        if (!(each instanceof List<?> pair && pair.size() == 2)) {
          return null;
        }
        keys.add(pair.get(0));
        values.add(pair.get(1));
      }
      Object[] first = fitting(keys, i -> map.keyType());
      Object[] second = fitting(values, i -> map.valueType());
      boolean fits = first != null && second != null;
      return fits
          ? new ArrayBasedMapData(new GenericArrayData(first), new GenericArrayData(second))
          : null;
    }
    if (type instanceof StructType struct && value instanceof Map<?, ?> map) {
      List<Object> members = new ArrayList<>();
      for (String name : struct.fieldNames()) {
        members.add(map.get(name));
      }
      Object[] found = fitting(members, i -> struct.fields()[i].dataType());
      return found == null ? null : new GenericInternalRow(found);
    }
    return null;
  }

  /** The values as Spark holds them, null where one does not fit. */
  private static Object[] fitting(List<?> values, IntFunction<DataType> types) {
    Object[] found = new Object[values.size()];
    for (int i = 0; i < found.length; i++) {
      Object value = values.get(i);
      found[i] = value == null ? null : fitting(value, types.apply(i));
      if (value != null && found[i] == null) {
        return null;
      }
    }
    return found;
  }

  private static Long integer(Object value, int bits) {
    if (value instanceof Boolean bit) {
      return bit ? 1L : 0L;
    }
    if (value instanceof Values.Moment moment) {
      return moment.units();
    }
    if (value instanceof Values.Clock clock) {
      return clock.digits() > 3 ? clock.units() : null;
    }
    try {
      if (value instanceof Values.Whole whole) {
        return whole.value().longValueExact();
      }
      if (value instanceof Float || value instanceof Double) {
        return new BigDecimal(((Number) value).doubleValue()).longValueExact();
      }
      if (value instanceof BigDecimal decimal) {
        return decimal.longValueExact();
      }
      String text = string(value);
      Matcher hex = HEX.matcher(text == null ? "" : text);
      if (hex.matches()) {
        // The bits of the column: 0xFFFFFFFF is -1 in an INT.
        int unused = 64 - bits;
        boolean fits = hex.group(1).length() <= bits / 4;
        return fits ? Long.parseUnsignedLong(hex.group(1), 16) << unused >> unused : null;
      }
      if (text != null && INTEGER.matcher(text).matches()) {
        return new BigInteger(text).longValueExact();
      }
    } catch (ArithmeticException | NumberFormatException error) {
      return null;
    }
    return null;
  }

  private static Double real(Object value) {
    if (value instanceof Boolean bit) {
      return bit ? 1.0 : 0.0;
    }
    if (value instanceof Float || value instanceof Double || value instanceof BigDecimal) {
      return ((Number) value).doubleValue();
    }
    if (value instanceof Values.Whole whole) {
      boolean fits = whole.value().abs().compareTo(BigInteger.valueOf(EXACT)) <= 0;
      return fits ? (Double) whole.value().doubleValue() : null;
    }
    String text = string(value);
    if (text == null) {
      return null;
    }
    Matcher endless = ENDLESS.matcher(text.toLowerCase(Locale.ROOT));
    if (endless.matches()) {
      double size = endless.group(2).equals("nan") ? Double.NaN : Double.POSITIVE_INFINITY;
      return endless.group(1).equals("-") ? -size : size;
    }
    return REAL.matcher(text).matches() ? (Double) Double.parseDouble(text) : null;
  }

  private static String text(Object value) {
    if (value instanceof Double number) {
      return real(number.isNaN(), number, NumberOutput.toString(number, true));
    }
    if (value instanceof Float number) {
      return real(number.isNaN(), number, NumberOutput.toString(number, true));
    }
    if (value instanceof Values.Moment moment) {
      return moment.sql();
    }
    if (value instanceof Values.Clock clock) {
      return clock.sql();
    }
    if (value instanceof List || value instanceof Map) {
      return null;
    }
    return value instanceof byte[] ? string(value) : value.toString();
  }

  private static String real(boolean none, double value, String shortest) {
    if (none) {
      return "nan";
    }
    if (Double.isInfinite(value)) {
      return value > 0 ? "inf" : "-inf";
    }
    return Json.formatted(shortest, -6, 10, false);
  }

  private static LocalDate day(Object value) {
    if (value instanceof LocalDate date) {
      return date;
    }
    if (value instanceof Values.Moment moment) {
      return moment.instant().atOffset(ZoneOffset.UTC).toLocalDate();
    }
    if (value instanceof Values.Whole whole && whole.bits() == 32) {
      return LocalDate.ofEpochDay(whole.value().longValue());
    }
    String text = string(value);
    if (text == null || !text.matches("[0-9]{4}-[0-9]{2}-[0-9]{2}")) {
      return null;
    }
    try {
      return LocalDate.parse(text);
    } catch (java.time.DateTimeException error) {
      return null;
    }
  }

  private static Long time_us(Object value) {
    try {
      if (value instanceof Values.Whole whole) {
        return whole.value().longValueExact();
      }
      if (value instanceof LocalDate day) {
        return Math.multiplyExact(day.toEpochDay(), 86_400_000_000L);
      }
      if (value instanceof Values.Moment moment) {
        return switch (moment.digits()) {
          case 3 -> Math.multiplyExact(moment.units(), 1000L);
          case 6 -> moment.units();
          default -> moment.units() % 1000 == 0 ? (Long) (moment.units() / 1000) : null;
        };
      }
      String text = string(value);
      Matcher found = text == null ? null : TIME.matcher(text);
      if (found == null || !found.matches()) {
        return null;
      }
      String minute = found.group(3) == null ? "00" : found.group(3);
      String second = found.group(4) == null ? "00" : found.group(4);
      LocalDateTime local =
          LocalDateTime.parse(
              found.group(1) + "T" + LocalTime.parse(found.group(2) + ":" + minute + ":" + second));
      Instant instant = OffsetDateTime.of(local, ZoneOffset.of(zone(found.group(5)))).toInstant();
      return instant.getEpochSecond() * 1_000_000L + instant.getNano() / 1000;
    } catch (ArithmeticException | java.time.DateTimeException error) {
      return null;
    }
  }

  private static String zone(String text) {
    return text.length() == 5 ? text.substring(0, 3) + ":" + text.substring(3) : text;
  }

  /** A text, or the text of bytes. */
  private static String string(Object value) {
    if (value instanceof byte[] bytes) {
      try {
        return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
      } catch (CharacterCodingException error) {
        return null;
      }
    }
    return value instanceof String text ? text : null;
  }
}
